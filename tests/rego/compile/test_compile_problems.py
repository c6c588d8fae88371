"""Policies that cannot be compiled: OPA's code, message, row and column."""

import pytest

from policy_agent.errors import PolicyError
from policy_agent.rego.compile.compiler import compile_modules, compile_query
from policy_agent.rego.parse import parse_module, parse_query


def problems_of(source, **options):
    with pytest.raises(PolicyError) as caught:
        compile_modules([parse_module("p.rego", source)], **options)
    return [
        (each.code.removeprefix("rego_"), each.location.row, each.location.col, each.message)
        for each in caught.value.problems
    ]


REFUSED = [
    pytest.param(
        "package t\n\np if {\n\tx := 1\n\ty > 2\n}\n",
        [("unsafe_var_error", 5, 2, "var y is unsafe")],
        id="variable without value",
    ),
    pytest.param(
        "package t\n\np := x if true\n",
        [("unsafe_var_error", 3, 6, "var x is unsafe")],
        id="variable without value in a head",
    ),
    pytest.param(
        "package t\n\nq contains x if not r[x]\n\nr contains 1\n",
        [("unsafe_var_error", 3, 17, "var x is unsafe")],
        id="negation gives no value",
    ),
    pytest.param(
        "package t\n\np if x = [x | true]\n",
        [("unsafe_var_error", 3, 6, "var x is unsafe")],
        id="comprehension closes over its own result",
    ),
    pytest.param(
        "package t\n\np if { x == 2 } q if { true }\n",
        [("unsafe_var_error", 3, 8, "var x is unsafe in rule p")],
        id="rules on one line are named",
    ),
    pytest.param(
        "package t\n\np if {\n\tx := 1\n\tx := 2\n}\n",
        [("compile_error", 5, 2, "var x assigned above")],
        id="assigned twice",
    ),
    pytest.param(
        "package t\n\np if {\n\tx = 1\n\tx := 2\n}\n",
        [("compile_error", 5, 2, "var x referenced above")],
        id="assigned after use",
    ),
    pytest.param(
        "package t\n\nf(a) if a := 1\n",
        [("compile_error", 3, 9, "arg a redeclared")],
        id="argument declared again",
    ),
    pytest.param(
        "package t\n\np if {\n\tsome x\n\ttrue\n}\n",
        [("compile_error", 4, 2, "declared var x unused")],
        id="declared and not used",
    ),
    pytest.param(
        "package t\n\np if 1 := 2\n",
        [("compile_error", 3, 6, "cannot assign to number")],
        id="assignment to a constant",
    ),
    pytest.param(
        "package t\n\nf(input) := 1\n",
        [("compile_error", 3, 1, "args must not shadow input (use a different variable name)")],
        id="argument hides a document",
    ),
    pytest.param(
        "package t\n\np if true with foo.bar as 1\n",
        [
            (
                "type_error",
                3,
                16,
                "with keyword target must reference existing input, data, or a function",
            )
        ],
        id="with replaces nothing that exists",
    ),
    pytest.param(
        'package t\n\np if true with data.t.q.r as 1\n\nq := {"r": 2}\n',
        [("compile_error", 3, 16, "with keyword cannot partially replace virtual document(s)")],
        id="with replaces a part of a rule",
    ),
    pytest.param(
        "package t\n\np if true with walk as 1\n",
        [
            (
                "compile_error",
                3,
                16,
                "with keyword replacing built-in function: target must not be a relation",
            )
        ],
        id="with replaces a relation",
    ),
]


@pytest.mark.parametrize(("source", "wanted"), REFUSED)
def test_problems_carry_opas_words_and_place(source, wanted):
    assert problems_of(source) == wanted


def test_a_print_operand_must_be_declared_when_prints_are_kept():
    source = "package t\n\np if print(x)\n"
    assert problems_of(source, prints=True) == [
        ("compile_error", 3, 12, "var x is undeclared"),
    ]
    compile_modules([parse_module("p.rego", source)])


def test_a_template_operand_must_be_declared():
    assert problems_of('package t\n\np := $"{x + 1}"\n') == [
        ("compile_error", 3, 9, "var x is undeclared")
    ]


def test_a_stage_with_problems_hides_those_of_later_stages():
    source = "package t\n\np if {\n\tx := 1\n\tx := 2\n\ty > 1\n}\n"
    assert [code for code, *_ in problems_of(source)] == ["compile_error"]


def test_a_query_is_checked_for_safety_too():
    with pytest.raises(PolicyError, match="var y is unsafe"):
        compile_query(parse_query("y > 1"), compile_modules([]))
