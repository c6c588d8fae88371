import pytest

from policy_agent.errors import BundleError, EvaluationError, PolicyError
from policy_agent.model import UNDEFINED
from policy_agent.number import Number
from policy_agent.rego import Policy

LIB = """
package lib
double(x) := 2 * x
"""
SEMANTICS = """
package a.b

import data.lib

default allow := false
allow if input.user == "bob"

owners contains o if some o in data.owners
by_name[name] := index if some index, name in data.owners
nested.deep.value := 7
seven := 7 if input.missing

f(x) := y if y := lib.double(x) + 1
called := f(3)

squares := [square | n := [1, 2, 3][_]; square := n * n]
letters := {l | l := ["b", "a", "b"][_]}
mapped := {k: v | v := {"x": 1}[k]}

all_small if { every n in input.numbers { n < 10 } }
else_value := "first" if { input.n > 10 } else := "second" if { input.n > 5 } else := "third"

mocked if { allow with input as {"user": "bob"} }
faked := x if { x := lib.double(1) with lib.double as 5 }

nulled if input == null
field_missing if not input.x

text := "<é>"
same_text if input.text == "\\u003c\\u00e9\\u003e"
divided := 1 / 0
conflicting := 1 if input.a
conflicting := 2 if input.b
"""
DATA = {"owners": ["ann", "bob"], "odd": {'q"/\\': {"é": [1, {"1": "one"}]}, "": 0, "<": "lt"}}


@pytest.fixture(scope="module")
def policy():
    modules = {"lib.rego": LIB, "a.rego": SEMANTICS, "s.rego": "package system\nsecret := 1"}
    with Policy.from_modules(modules, DATA) as loaded:
        yield loaded


@pytest.mark.parametrize(
    ("path", "given", "expected"),
    [
        pytest.param("a/b/allow", {"user": "bob"}, True, id="rule"),
        pytest.param("a/b/allow", {"user": "eve"}, False, id="default"),
        pytest.param("a/b/allow", UNDEFINED, False, id="default_without_input"),
        pytest.param("a/b/owners", {}, ["ann", "bob"], id="partial_set"),
        pytest.param("a/b/by_name", {}, {"ann": 0, "bob": 1}, id="partial_object"),
        pytest.param("a/b/by_name/bob", {}, 1, id="below_a_partial_object"),
        pytest.param("a/b/nested/deep", {}, {"value": 7}, id="dotted_rule"),
        pytest.param("a/b/seven", {}, UNDEFINED, id="undefined"),
        pytest.param("a/b/seven", {"missing": False}, UNDEFINED, id="false_condition"),
        pytest.param("a/b/nowhere", {}, UNDEFINED, id="no_such_rule"),
        pytest.param("a/b/text/below", {}, UNDEFINED, id="below_a_scalar"),
        pytest.param("a/b/called", {}, 7, id="functions"),
        pytest.param("a/b/f", {}, UNDEFINED, id="function_has_no_document"),
        pytest.param(["a", "b", "f", 1], {}, UNDEFINED, id="below_a_function"),
        pytest.param("a/b/squares", {}, [1, 4, 9], id="array_comprehension"),
        pytest.param("a/b/letters", {}, ["a", "b"], id="set_comprehension"),
        pytest.param("a/b/mapped", {}, {"x": 1}, id="object_comprehension"),
        pytest.param("a/b/all_small", {"numbers": [1, 2]}, True, id="every"),
        pytest.param("a/b/all_small", {"numbers": [1, 20]}, UNDEFINED, id="every_fails"),
        pytest.param("a/b/else_value", {"n": 7}, "second", id="else"),
        pytest.param("a/b/else_value", {"n": 1}, "third", id="last_else"),
        pytest.param("a/b/mocked", {"user": "eve"}, True, id="with_input"),
        pytest.param("a/b/faked", {}, 5, id="with_function"),
        pytest.param("a/b/nulled", None, True, id="null_input"),
        pytest.param("a/b/nulled", UNDEFINED, UNDEFINED, id="absent_input_is_not_null"),
        pytest.param("a/b/field_missing", UNDEFINED, True, id="field_of_absent_input"),
        pytest.param("a/b/field_missing", {"x": None}, UNDEFINED, id="null_field_is_defined"),
        pytest.param("a/b/text", {}, "<é>", id="text"),
        pytest.param("a/b/same_text", {"text": "<é>"}, True, id="escapes_do_not_matter"),
        pytest.param("a/b/divided", {}, UNDEFINED, id="failing_builtin_is_undefined"),
        pytest.param("lib", {}, {}, id="package_of_functions"),
        pytest.param("owners", {}, ["ann", "bob"], id="base_data"),
        pytest.param(["owners", 1], {}, "bob", id="index"),
        pytest.param(["owners", "1"], {}, UNDEFINED, id="text_is_no_index"),
        pytest.param(["odd", 'q"/\\', "é", 1, "1"], {}, "one", id="any_characters"),
        pytest.param(["odd", ""], {}, 0, id="empty_segment"),
        pytest.param(["odd", "<"], {}, "lt", id="html_characters"),
        pytest.param(['"] == 1; x := data["'], {}, UNDEFINED, id="no_injection"),
        pytest.param("/owners/", {}, ["ann", "bob"], id="outer_slashes"),
    ],
)
def test_evaluate(policy, path, given, expected):
    value = policy.evaluate(path, given)
    assert (value, type(value)) == (expected, type(expected))


def test_the_input_of_one_evaluation_does_not_reach_the_next(policy):
    assert policy.evaluate("a/b/allow", {"user": "bob"}) is True
    assert policy.evaluate("a/b/allow") is False


def test_the_whole_document_merges_rules_and_data_and_hides_system(policy):
    document = policy.evaluate("", {})
    assert set(document) == {"a", "lib", "owners", "odd"}
    assert document["a"]["b"]["called"] == 7
    assert policy.evaluate([], {}) == document


def test_system_is_readable_directly(policy):
    assert policy.evaluate("system") == {"secret": 1}


def test_conflicting_rules_are_an_evaluation_error(policy):
    with pytest.raises(EvaluationError) as caught:
        policy.evaluate("a/b/conflicting", {"a": 1, "b": 1})
    assert caught.value.problem.code == "eval_conflict_error"
    message = caught.value.problem.message
    assert message.startswith("rule data.a.b.conflicting produced conflicting values")
    assert policy.evaluate("a/b/conflicting", {"a": 1}) == 1


def test_recursion_is_refused():
    with pytest.raises(PolicyError) as caught:
        Policy.from_modules({"m.rego": "package a\np := data.a.q\nq := data.a.p"})
    assert str(caught.value).splitlines() == [
        "m.rego:2: rego_recursion_error: rule data.a.p is recursive: "
        "data.a.p -> data.a.q -> data.a.p",
        "m.rego:3: rego_recursion_error: rule data.a.q is recursive: "
        "data.a.q -> data.a.p -> data.a.q",
    ]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(12345678901234567890123, id="big_integer"),
        pytest.param(9007199254740993, id="beyond_double"),
        pytest.param(Number("0.1"), id="fraction"),
        pytest.param(Number("1.5e300"), id="exponent"),
        pytest.param('a"\\/\n\t\x01\x7f\u2028😀', id="text"),
        pytest.param({"": [None, True, {}], "<>&": []}, id="nested"),
    ],
)
def test_values_pass_through_unchanged(value):
    with Policy.from_modules({"m.rego": "package a\np := input"}, {"d": value}) as policy:
        assert policy.evaluate("a/p", value) == value
        assert policy.evaluate("d") == value


def test_rules_are_listed_without_functions(policy):
    assert {"a/b/allow", "a/b/nested/deep/value", "system/secret"} <= policy.rules
    assert "a/b/f" not in policy.rules


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("x := data.a.b.called", [{"x": 7}], id="binding"),
        pytest.param("x := data.owners[_]", [{"x": "ann"}, {"x": "bob"}], id="wildcard"),
        pytest.param("data.owners[i] == `bob`", [{"i": 1}], id="iteration"),
        pytest.param("some x in [1, 2]; x > 1", [{"x": 2}], id="several"),
        pytest.param("x := 1\ny := 2", [{"x": 1, "y": 2}], id="lines"),
        pytest.param("1 == 1", [{}], id="true"),
        pytest.param("1 == 2", [{}], id="false_is_a_solution_too"),
        pytest.param("data.a.b.allow", [{}], id="false_document"),
        pytest.param("x := 1; x == 2", [], id="no_solution"),
        pytest.param("not data.a.b.called", [], id="negated"),
        pytest.param("data.a.b.nowhere", [], id="undefined"),
        pytest.param("x := data.lib.double(2) # four", [{"x": 4}], id="function"),
        pytest.param("x := input.n", [{"x": 5}], id="input"),
    ],
)
def test_query(policy, text, expected):
    assert policy.query(text, {"n": 5}) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "cannot evaluate empty query", id="empty"),
        pytest.param("# nothing", "cannot evaluate empty query", id="comment"),
        pytest.param("x := nope(1)", "undefined function nope", id="function"),
        pytest.param("x := y", "var y is unsafe", id="variable"),
        pytest.param(
            "http.send({})", "unsafe built-in function calls in expression: http.send", id="network"
        ),
        pytest.param("data.a[", "unexpected eof token", id="bracket"),
        pytest.param("1 ==", "unexpected eof token", id="operator"),
    ],
)
def test_a_wrong_query_is_refused(policy, text, message):
    with pytest.raises(PolicyError) as caught:
        policy.query(text)
    assert caught.value.problems[0].message == message


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param(
            "package a\np := foo.bar(1)",
            "m.rego:2: rego_type_error: undefined function foo.bar",
            id="unknown_function",
        ),
        pytest.param(
            "package a\nallow { true }",
            "m.rego:2: rego_parse_error: `if` keyword is required before rule body",
            id="rego_v0",
        ),
        pytest.param(
            "package a\n# é\np := 1\nq if 1 ==\n",
            "m.rego:5: rego_parse_error: unexpected eof token\n\tq if 1 ==\n\t        ^",
            id="syntax",
        ),
    ],
)
def test_a_policy_that_cannot_be_run_faithfully_is_refused(source, expected):
    with pytest.raises(PolicyError) as caught:
        Policy.from_modules({"a.rego": "package ok\nx := 1", "m.rego": source})
    assert str(caught.value) == expected


def test_problems_of_several_modules_are_told_at_once():
    modules = {"m.rego": "package a\np if 1 ==", "é.rego": "package b\n# é\nq if 2 =="}
    with pytest.raises(PolicyError) as caught:
        Policy.from_modules(modules)
    places = [(p.location.file, p.location.row, p.location.col) for p in caught.value.problems]
    assert places == [("m.rego", 2, 9), ("é.rego", 3, 9)]


def test_policies_see_no_environment_variable():
    with Policy.from_modules({"m.rego": "package a\np := opa.runtime().env"}) as policy:
        assert policy.evaluate("a/p") is UNDEFINED


def test_a_policy_without_modules_serves_its_data():
    with Policy.from_modules({}, {"x": 1}) as policy:
        assert policy.evaluate("") == {"x": 1}
        assert policy.rules == frozenset()


def test_a_bundle_directory_is_loaded(tmp_path):
    (tmp_path / "p.rego").write_text("package a\np := data.x.y", "utf-8")
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "data.json").write_text('{"y": 3}', "utf-8")
    with Policy.from_bundle(tmp_path) as policy:
        assert policy.evaluate("a/p") == 3


def test_what_is_no_bundle_is_a_bundle_error(tmp_path):
    (tmp_path / "b.tar.gz").write_bytes(b"no archive")
    with pytest.raises(BundleError):
        Policy.from_bundle(str(tmp_path / "b.tar.gz"))
