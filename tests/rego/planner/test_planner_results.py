"""Policies from text to value: parsed, compiled, planned and run."""

import pytest

from policy_agent.errors import EvaluationError
from policy_agent.model import UNDEFINED
from policy_agent.rego.compile.compiler import compile_modules, compile_query
from policy_agent.rego.parse import parse_module, parse_query
from policy_agent.rego.planner.planner import Planner
from policy_agent.rego.runtime.runner import PlanRunner
from policy_agent.rego.values import to_json


def planner_of(*sources):
    modules = [parse_module(f"{index}.rego", text) for index, text in enumerate(sources)]
    return Planner(compile_modules(modules))


def document(path, *sources, data=None, given=UNDEFINED):
    planner = planner_of(*sources)
    policy = planner.policy([planner.entrypoint(path.split("."), "entry")])
    return to_json(PlanRunner(policy, data or {}).evaluate("entry", given))


def rows(query, *sources, data=None):
    modules = [parse_module(f"{index}.rego", text) for index, text in enumerate(sources)]
    compiled = compile_modules(modules)
    planner = Planner(compiled)
    planned = planner.query(compile_query(parse_query(query), compiled), "ask")
    found = PlanRunner(planner.policy([planned]), data or {}).query("ask")
    return [{name: to_json(value) for name, value in row.items()} for row in found]


VALUES = [
    pytest.param("p := 1 if false\nelse := 2", 2, id="else"),
    pytest.param("default p := 3\np := 1 if false", 3, id="default"),
    pytest.param("p contains x if some x in [2, 1, 2]", [1, 2], id="partial set"),
    pytest.param('p[k] := v if some k, v in {"a": 1}', {"a": 1}, id="partial object"),
    pytest.param(
        'p[x].r contains y if { some x in ["u"]; some y in [1, 2] }\np.w.r contains 7',
        {"u": {"r": [1, 2]}, "w": {"r": [7]}},
        id="variables inside a reference",
    ),
    pytest.param("p if every x in [1, 2] { x > 0 }", True, id="every"),
    pytest.param("p if every x in [] { x > 0 }", True, id="every of nothing"),
    pytest.param("p if every x in 3 { x > 0 }", UNDEFINED, id="every of no collection"),
    pytest.param('p := a + b if [a, {"k": b}] = [1, {"k": 2}]', 3, id="patterns"),
    pytest.param("p := x if [x, y] = [y, 1]", 1, id="patterns on both sides"),
    pytest.param("p := f([1, 2])\nf([a, b]) := a - b", -1, id="argument pattern"),
    pytest.param("p := [f(0), f(5)]\nf(0) := 1\nf(x) := x if x > 0", [1, 5], id="definitions"),
    pytest.param("default f(_) := 9\np := f(1)\nf(x) := x if x > 1", 9, id="default function"),
    pytest.param("p := x if x := count([]) with count as f\nf(_) := 4", 4, id="replaced built-in"),
    pytest.param("p := x if x := q with input as 5\nq := input", 5, id="replaced input"),
    pytest.param("p := x if x := q with input.a as 5\nq := input", {"a": 5}, id="part of input"),
    pytest.param(
        "p := [q, z] if z := q with data.k as 1\nq := data.k\n",
        UNDEFINED,
        id="replaced data is restored",
    ),
    pytest.param(
        "p := [x, y, z] if { x := q with f as 1; y := q with f as h; z := q }\n"
        "q := f(3)\nf(x) := x\nh(x) := x * 2",
        [1, 6, 3],
        id="replaced function",
    ),
    pytest.param('p := data.t[k] if k := "q"\nq := 4', 4, id="rule chosen by a variable"),
    pytest.param(
        "p := y if { z = 11; y = r with f as z }\n"
        "r := [f(1), q, f(2)] if { z = 3; q := f(z) with f as z }\nf(x) := x",
        [11, 3, 11],
        id="variables that replace functions do not reach rules",
    ),
    pytest.param('p := $"{1 + 1} {data.nope}"', "2 <undefined>", id="template string"),
    pytest.param("p := {x | walk([1], [_, x]); is_number(x)}", [1], id="relation"),
    pytest.param("p if not data.nope", True, id="negation of undefined"),
    pytest.param("p if { not not_q }\nnot_q if false", True, id="negation of a rule"),
]


@pytest.mark.parametrize(("rules", "wanted"), VALUES)
def test_rules_have_opas_values(rules, wanted):
    assert document("t.p", f"package t\n\n{rules}\n") == wanted


def test_a_package_document_holds_rules_and_subpackages_but_no_functions():
    source = "package a\n\np := 1\nq := 2 if false\nf(x) := x\n"
    assert document("a", source, "package a.b\n\nr contains 3\n") == {"b": {"r": [3]}, "p": 1}


def test_base_documents_are_merged_below_rules():
    data = {"a": {"base": 1, "b": {"deep": 2}}}
    assert document("a", "package a.b\n\nr := 3\n", data=data) == {
        "base": 1,
        "b": {"deep": 2, "r": 3},
    }


def test_a_variable_ranges_over_rules_and_base_documents():
    sources = ("package one\n\ndeny contains 1\n", "package two\n\ndeny contains 2\n")
    data = {"other": {"deny": [3]}}
    found = rows("some name; data[name].deny[_] = x", *sources, data=data)
    assert sorted((row["name"], row["x"]) for row in found) == [
        ("one", 1),
        ("other", 3),
        ("two", 2),
    ]


def test_a_rule_that_is_replaced_gives_way_to_the_document():
    lib = "package lib\n\nv := 1\n\nw := v + 1\n"
    source = "package t\n\np := [data.lib.w, x] if x := data.lib.w with data.lib.v as 10\n"
    assert document("t.p", source, lib) == [2, 11]


def test_query_rows_bind_the_names_of_the_query():
    assert rows("x := [1, 2][i]; y = x + 1") == [
        {"i": 0, "x": 1, "y": 2},
        {"i": 1, "x": 2, "y": 3},
    ]


def test_numbers_find_text_keys_of_base_documents():
    assert rows("x = data.a[2]", data={"a": {"2": "found"}}) == [{"x": "found"}]


def test_functions_are_planned_once_for_equal_replacements():
    source = (
        "package t\n\np := [x, y] if { x := q with data.k as 1; y := q with data.k as 2 }\n"
        "q := data.k\n"
    )
    planner = planner_of(source, "package k\n\nz := 1\n")
    planner.entrypoint(["t", "p"])
    assert sorted(planner.funcs) == ["g0.data.t.p", "g1.data.t.q"]


def test_only_what_an_entry_point_needs_is_planned():
    planner = planner_of("package t\n\np := q\nq := 1\nr := 2\n")
    planner.entrypoint(["t", "p"])
    assert sorted(planner.funcs) == ["g0.data.t.p", "g0.data.t.q"]


def test_rules_that_contradict_end_the_evaluation():
    with pytest.raises(EvaluationError, match="conflict"):
        document("t.p", "package t\n\np := 1\np := 2\n")


def test_statements_carry_their_place():
    planner = planner_of("package t\n\np if {\n\tinput.x == 1\n}\n")
    policy = planner.policy([planner.entrypoint(["t", "p"])])
    (func,) = policy.funcs
    places = {policy.source_location(s.location) for b in func.blocks for s in b.stmts}
    assert (4, 2) in {(place.row, place.col) for place in places if place is not None}


def test_long_chains_of_rules_are_planned_and_run():
    rules = "\n".join(f"r{index} := r{index + 1}" for index in range(200))
    assert document("t.p", f"package t\n\np := r0\n{rules}\nr200 := 7\n") == 7
