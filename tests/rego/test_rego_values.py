from policy_agent.number import Number
from policy_agent.rego import Policy
from policy_agent.rego.values import with_exact_numbers


def test_a_float_of_pythons_is_the_number_it_prints_as():
    with Policy.from_modules({"m.rego": "package a\np if input.x > 100.4\nq := input.x"}) as policy:
        assert policy.evaluate("a/p", {"x": 100.5}) is True
        assert policy.evaluate("a/q", {"x": 100.5}) == Number("100.5")


def test_a_document_without_floats_is_used_as_it_is():
    document = {"a": [1, {"b": Number("1.0")}]}
    assert with_exact_numbers(document) is document
