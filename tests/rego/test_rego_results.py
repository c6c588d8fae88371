import pytest

from policy_agent.errors import EvaluationError
from policy_agent.model import UNDEFINED
from policy_agent.rego import Policy
from policy_agent.rego.options import CompileOptions, Query

SOURCE = "package a\np := 1\nq contains x if some x in [1, 2]\nf(x) := x + 1\n"


@pytest.fixture(scope="module")
def policy():
    with Policy.from_modules({"a.rego": SOURCE}) as loaded:
        yield loaded


@pytest.mark.parametrize(
    ("text", "values"),
    [
        pytest.param("1 == 2", [[False]], id="false"),
        pytest.param("1 == 1; 2 == 3", [], id="false_among_others"),
        pytest.param("data.a.q[x] > 1", [[True]], id="only_what_holds_when_it_iterates"),
        pytest.param("data.a.q[_]", [[1], [2]], id="each_value"),
        pytest.param("data.a.f(1)", [[2]], id="function"),
        pytest.param("data.a.f(1, 3)", [], id="function_with_its_result"),
        pytest.param("data.a.p with input as 1", [[1]], id="with"),
        pytest.param("not data.a.z", [[True]], id="negation"),
        pytest.param("walk([1])", [[[[], [1]]], [[[0], 1]]], id="relation"),
        pytest.param("input.x", [], id="undefined"),
        pytest.param("some x; x = 1", [[True]], id="declarations_are_no_expressions"),
    ],
)
def test_the_values_of_expressions(policy, text, values):
    results = policy.results(Query(text))
    assert [[each.value for each in result.expressions] for result in results] == values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("x := 1;y := 2", [("x := 1", 1, 1), ("y := 2", 1, 8)], id="semicolon"),
        pytest.param("x := 1 # a\n# b\n  x == 1", [("x := 1", 1, 1), ("x == 1", 3, 3)], id="lines"),
        pytest.param("1 +\n 2; [3]", [("1 +\n 2", 1, 1), ("[3]", 2, 5)], id="over_lines"),
        pytest.param("some x; x = 1", [("x = 1", 1, 9)], id="behind_a_declaration"),
    ],
)
def test_expressions_are_shown_as_written(policy, text, expected):
    (result,) = policy.results(Query(text))
    assert [(each.text, each.row, each.col) for each in result.expressions] == expected


def test_bindings_are_the_variables_of_the_query_alone(policy):
    (result,) = policy.results(Query("x := data.a.f(_y); _y = 1; [_] = [2]"))
    assert result.bindings == {"x": 2, "_y": 1}


def test_a_query_may_be_asked_in_a_package_and_with_imports(policy):
    inside, imported = Query("f(p)", package="a"), Query("b.p", imports=("data.a as b",))
    assert [policy.results(each)[0].expressions[0].value for each in (inside, imported)] == [2, 1]


def test_strict_evaluation_ends_where_a_builtin_fails(policy):
    assert policy.results(Query("1 / 0")) == []
    with pytest.raises(EvaluationError, match="divide by zero") as caught:
        policy.results(Query("1 / 0"), UNDEFINED, strict=True)
    location = caught.value.problem.location
    assert (location.file, location.row, location.col) == ("", 1, 1)


def test_prints_of_an_evaluation_that_fails_are_not_lost():
    lines = []
    modules = {"m.rego": 'package m\np := 1 if print("a")\np := 2 if print("b")\n'}
    with (
        Policy.from_modules(modules, options=CompileOptions(print_to=lines.append)) as policy,
        pytest.raises(EvaluationError, match="conflicting"),
    ):
        policy.results(Query("data.m.p"))
    assert lines == ["a", "b"]
