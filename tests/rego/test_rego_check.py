import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_agent.errors import PolicyError
from policy_agent.rego.second_opinion.check import (
    builtin_name,
    check_modules,
    check_query,
    refuse_unknown,
)

NEEDS_IF = "`if` keyword is required before rule body"
NEEDS_IF_IN_FUNCTION = "`if` keyword is required before function body"
NEEDS_CONTAINS = "`contains` keyword is required for partial set rules"
NEEDS_BODY = "rule must have value assignment and/or body declaration"


def refusals(*sources):
    with pytest.raises(PolicyError) as caught:
        check_modules({f"m{number}.rego": source for number, source in enumerate(sources)})
    return [(p.message, p.location.row, p.location.col) for p in caught.value.problems]


def rules_of(source):
    definitions, _ = check_modules({"m.rego": source})
    return {"/".join(path) for path in definitions.rules}


# Rows, columns and messages as `opa check` (1.22) prints them.
@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        pytest.param("p { true }", [(NEEDS_IF, 2, 1)], id="body"),
        pytest.param("p\n{ true }", [(NEEDS_IF, 2, 1)], id="body_on_the_next_line"),
        pytest.param("p = 1 { true }", [(NEEDS_IF, 2, 1)], id="value_and_body"),
        pytest.param("p := 1\n{ true }", [(NEEDS_IF, 2, 1)], id="value_then_body_below"),
        pytest.param("p[x] = y { x := 1; y := 2 }", [(NEEDS_IF, 2, 1)], id="partial_object"),
        pytest.param(
            "p[x] { x := 1 }", [(NEEDS_IF, 2, 1), (NEEDS_CONTAINS, 2, 1)], id="partial_set"
        ),
        pytest.param(
            "p.q { true }", [(NEEDS_IF, 2, 1), (NEEDS_CONTAINS, 2, 1)], id="dotted_partial_set"
        ),
        pytest.param("p.q[x].r { x := 1 }", [(NEEDS_IF, 2, 1)], id="long_head"),
        pytest.param("f(x) { x }", [(NEEDS_IF_IN_FUNCTION, 2, 1)], id="function"),
        pytest.param("f(x) = y { y := x }", [(NEEDS_IF_IN_FUNCTION, 2, 1)], id="function_value"),
        pytest.param("p if true else { false }", [(NEEDS_IF, 2, 11)], id="else"),
        pytest.param("p if { true } else = 2 { true }", [(NEEDS_IF, 2, 15)], id="else_value"),
        pytest.param('p["x"]', [(NEEDS_CONTAINS, 2, 1)], id="set_element"),
        pytest.param("p", [("var cannot be used for rule name", 2, 1)], id="bare_name"),
        pytest.param("p.q.r", [(NEEDS_BODY, 2, 1)], id="bare_reference"),
        pytest.param("p if {true}; q := 1", [("unexpected ; token", 2, 12)], id="semicolon"),
        pytest.param("p if { ]", [("unexpected ] token", 2, 8)], id="wrong_bracket"),
        pytest.param("p if {", [("unexpected eof token", 2, 6)], id="open_bracket"),
        pytest.param('p if { "a', [("non-terminated string", 2, 8)], id="open_string"),
        pytest.param("package b", [("unexpected package", 2, 1)], id="second_package"),
        pytest.param(
            "import rego.v2\np if a and b", [("rego.v2 is not supported", 2, 8)], id="later_rego"
        ),
        pytest.param(
            "p { true }\nq contains 1\nr[x] = 1 { x := 2 }",
            [(NEEDS_IF, 2, 1), (NEEDS_IF, 4, 1)],
            id="several",
        ),
    ],
)
def test_what_regopy_would_misread_is_refused(rule, expected):
    assert refusals(f"package a\n{rule}") == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("", ("empty module", 1, 1), id="empty"),
        pytest.param("# only this", ("empty module", 1, 1), id="comment"),
        pytest.param("p := 1", ("package expected", 1, 1), id="no_package"),
    ],
)
def test_a_module_needs_a_package(source, expected):
    assert refusals(source) == [expected]


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param("p if true", id="short_body"),
        pytest.param("p := {1} if { true } { false }", id="chained_bodies"),
        pytest.param("p if every x in {1, 2} { x > 0 }", id="every"),
        pytest.param("p if {\n every k, v in {} { v }\n}", id="every_in_a_body"),
        pytest.param("p if not {} == 1", id="not_before_a_brace"),
        pytest.param("p if q with input as {}\nq := 1", id="with_object"),
        pytest.param("p contains {1} if 1 in {1}", id="contains_and_in"),
        pytest.param("p := 1 if { false } else := {2} if { true } else := 3", id="else"),
        pytest.param("default p := {}", id="default"),
        pytest.param("default f(_) := 1", id="default_function"),
        pytest.param("f(1)", id="fact"),
        pytest.param("p[x] if x := 1", id="partial_object"),
        pytest.param("p := {x | x := 1}", id="comprehension"),
        pytest.param("p := input.if\nq := 1", id="keyword_after_a_dot"),
        pytest.param('p := $"{1} {$`{2}`} {{3}}"\nq := 1', id="template_string"),
        pytest.param("p if contains(`a`, `b`)", id="contains_as_a_function"),
        pytest.param("p := set()", id="empty_set"),
        pytest.param("p if print(1)", id="print"),
        pytest.param("import rego.v1\nimport future.keywords.in\np := 1", id="known_imports"),
    ],
)
def test_rego_v1_passes(rule):
    _, calls = check_modules({"m.rego": f"package a\n{rule}"})
    refuse_unknown(calls, {"set", "print"})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("package a.b\np := 1", {"a/b/p"}, id="value"),
        pytest.param('package a["b-c"]\np := 1', {"a/b-c/p"}, id="quoted_package"),
        pytest.param(
            "package a\np := 1 q := x r if true s contains 2",
            {"a/p", "a/q", "a/r", "a/s"},
            id="one_line",
        ),
        pytest.param("package a\np :=\n  1 +\n  2\nq\n  := 3", {"a/p", "a/q"}, id="broken_lines"),
        pytest.param("package a\np[x].q := 1 if x := 2", {"a/p"}, id="computed_part"),
        pytest.param('package a\np.q["r"].s := 1', {"a/p/q/r/s"}, id="constant_parts"),
        pytest.param("package a\ndefault p := 1\nf(x) := x", {"a/p"}, id="functions_are_no_rules"),
        pytest.param(
            "package a\ntest_x if { true }\ntest_y if false", {"a/test_x", "a/test_y"}, id="tests"
        ),
        pytest.param("package a\n# METADATA\n# title: x\np := `q := 1`", {"a/p"}, id="comments"),
    ],
)
def test_rules_are_listed_by_their_constant_path(source, expected):
    assert rules_of(source) == expected


def test_paths_to_and_below_functions_are_known():
    definitions, _ = check_modules({"m.rego": "package a\nf(x) := {1: x}\np := 1"})
    assert definitions.is_function(("a", "f"))
    assert definitions.is_function(("a", "f", 1))
    assert not definitions.is_function(("a", "p"))
    assert not definitions.is_function(("a",))


LIB = "package lib.util\nf(x) := x\np := 1"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param("p if data.lib.util.f(1)", [], id="full_path"),
        pytest.param('p if data["lib"].util["f"](1)', [], id="quoted_path"),
        pytest.param("import data.lib.util\np if util.f(1)", [], id="import"),
        pytest.param("import data.lib.util as u\np if u.f(1)", [], id="alias"),
        pytest.param("import data.lib.util.f\np if f(1)", [], id="imported_function"),
        pytest.param("g(x) := x\np if g(1)", [], id="same_package"),
        pytest.param("g.h(x) := x\np if g.h(1)", [], id="dotted_name"),
        pytest.param("g(x) := x\np if { g(1, y); y == 1 }", [], id="output_argument"),
        pytest.param(
            "p if data.lib.util.g(1)", [("undefined function data.lib.util.g", 2, 6)], id="unknown"
        ),
        pytest.param(
            "import data.lib\np if lib.g(1)",
            [("undefined function data.lib.g", 3, 6)],
            id="unknown_by_import",
        ),
        pytest.param(
            "p if data.lib[input.x](1)",
            [("undefined function data.lib[input.x]", 2, 6)],
            id="computed",
        ),
        pytest.param(
            "g(x) := x\np := g(1, 2)",
            [("function data.a.g has arity 1, got 2 arguments", 3, 6)],
            id="output_argument_in_a_term",
        ),
        pytest.param(
            "g(x) := x\np if g([1, 2], {3}, (4)) == 5",
            [("function data.a.g has arity 1, got 3 arguments", 3, 6)],
            id="too_many",
        ),
        pytest.param(
            "g(x) := x\np if g()",
            [("function data.a.g has arity 1, got 0 arguments", 3, 6)],
            id="too_few",
        ),
        pytest.param(
            "p if data.lib.util.p(1)",
            [("function data.lib.util.p has arity 0, got 1 argument", 2, 6)],
            id="rule_called",
        ),
    ],
)
def test_calls_are_resolved_as_opa_resolves_them(body, expected):
    modules = {"a.rego": f"package a\n{body}", "lib.rego": LIB}
    if expected:
        assert refusals(modules["a.rego"], LIB) == expected
    else:
        _, calls = check_modules(modules)
        assert calls == []


def test_calls_left_over_are_built_ins_by_full_name():
    _, calls = check_modules(
        {"m.rego": 'package a\np := json.marshal(count([x | x := upper($"{lower(`A`)}")]))'}
    )
    assert [builtin_name(call) for call in calls] == ["json.marshal", "count", "upper", "lower"]


def test_unknown_built_ins_are_refused_where_they_are_called():
    _, calls = check_modules({"m.rego": "package a\np := count([])\nq if\n  net.cidr_merge([])"})
    with pytest.raises(PolicyError) as caught:
        refuse_unknown(calls, {"net.cidr_merge"})
    (problem,) = caught.value.problems
    assert str(problem) == "m.rego:4: rego_type_error: undefined function net.cidr_merge"
    assert problem.location.col == 3


def test_problems_of_all_modules_are_reported():
    assert len(refusals("package a\np { true }", "package b\nq { true }")) == 2


def test_a_query_is_checked_against_the_modules():
    definitions, _ = check_modules({"lib.rego": LIB})
    (call,) = check_query("x := data.lib.util.f(1); y := upper(`a`)", definitions)
    assert builtin_name(call) == "upper"
    with pytest.raises(PolicyError, match=r"undefined function data\.lib\.g"):
        check_query("data.lib.g(1)", definitions)


NAMES = ["package", "import", "default", "if", "else", "contains", "every", "some", "in", "not"]
PIECES = st.sampled_from([*NAMES, "with", "as", "a", "b.c", "f(", ":=", "==", "1", '"t"', "`r`"])
SIGNS = st.sampled_from([*"()[]{},:;=|.#\n", '$"{', '}"'])


@settings(deadline=None)
@given(st.lists(PIECES | SIGNS, max_size=30))
def test_any_text_is_outlined_or_refused(pieces):
    with contextlib.suppress(PolicyError):
        check_modules({"m.rego": "package a\n" + " ".join(pieces)})
