"""What the checks need to know besides the policy: base data, schemas, refused functions."""

from __future__ import annotations

import json
import subprocess

import pytest

from policy_agent.errors import PolicyError
from policy_agent.rego.check.stages import PolicyChecks, compile_checked
from policy_agent.rego.compile.query import compile_query
from policy_agent.rego.parse import parse_module, parse_query
from tests.support import OPA, needs_opa

LIBRARY = """\
package p

y := {"a": 1}

f(x) := upper(x)

s contains "a"
"""
INPUT_SCHEMA = {
    "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
    "type": "object",
    "properties": {
        "user": {"type": "string"},
        "roles": {"type": "array", "items": {"type": "string"}},
        "pair": {"type": "array", "items": [{"type": "string"}, {"type": "integer"}]},
        "either": {"anyOf": [{"type": "string"}, {"type": "number"}]},
        "both": {
            "allOf": [
                {"properties": {"a": {"type": "string"}}},
                {"properties": {"b": {"type": "boolean"}}},
            ]
        },
        "list": {"$ref": "#/$defs/node"},
        "free": {},
        "map": {"type": "object"},
    },
}
SCHEMA_RULES = {
    "unknown_property": "x if input.nothing",
    "property_of_a_string": "x if input.user.name",
    "item": "x if input.roles[_] == 1",
    "pair": 'x if input.pair[1] == "a"',
    "past_the_pair": "x if input.pair[2]",
    "either": "x if input.either == true",
    "both": "x if input.both.c",
    "recursive": "x if input.list.next.next.other",
    "call": "x := count(input.both.b)",
    "good": 'x if {\n  input.free.a\n  input.map.b\n  input.either == "a"\n  input.user == "b"\n}',
    "good_under_with": "x if input.user == 1 with input.user as 1",
}
ANNOTATED = """\
# METADATA
# scope: package
# schemas:
#   - input: {type: object, properties: {user: {type: string}, ids: {type: array}}}
package p

x if input.user.name

y if input.foo

# METADATA
# schemas:
#   - input.user: {type: object, properties: {name: {type: number}}}
z if input.user.name == "a"

# METADATA
# scope: document
# schemas:
#   - data.acl: {type: object, properties: {a: {type: number}}}
v if data.acl.b == 1

# METADATA
# schemas:
#   - input: schema.not_given
u if input.ids[_].a
"""
REDECLARED = """\
# METADATA
# scope: package
# title: one
package p

# METADATA
# scope: document
x := 1 if input.a

# METADATA
# scope: document
x := 2 if input.b
"""


def check(text, **options):
    checks = PolicyChecks(**options)
    try:
        compile_checked([parse_module("a.rego", text)], checks)
    except PolicyError as exc:
        return "\n".join(map(str, exc.problems))
    return ""


def opa_says(folder, text, *flags):
    (folder / "a.rego").write_text(text)
    command = [OPA, "check", *flags, "a.rego"]
    said = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stderr
    return said.partition("occurred:")[2].strip()


def test_a_rule_may_not_define_what_is_in_the_base_data():
    data = {"p": {"x": 1, "z": {}}}
    found = check("package p\n\nx := 1\n\ny := 2\n\nz.a := 3\n", data=data)
    wanted = "a.rego:3: rego_compile_error: conflicting rule for data path p/x found"
    assert found == wanted


@pytest.mark.opa
@pytest.mark.skipif(OPA is None, reason="no opa")
def test_base_data_conflicts_are_those_of_opa(tmp_path):
    text = "package p\n\nx := 1\n\nz.a := 3\n\nw.b := 1\n"
    data = {"p": {"x": 1, "z": {"a": None}, "w": {}}}
    (tmp_path / "a.rego").write_text(text)
    (tmp_path / "data.json").write_text(json.dumps(data))
    assert OPA is not None
    command = [OPA, "check", "-b", "."]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False).stderr
    assert said.partition("occurred:")[2].strip().replace(f"{tmp_path}/", "") == check(
        text, data=data
    )


def test_refused_functions_may_not_be_called():
    found = check(
        'package p\n\nx := http.send({"url": input.u})\n', refused=frozenset({"http.send"})
    )
    assert found == (
        "a.rego:3: rego_type_error: unsafe built-in function calls in expression: http.send"
    )


@pytest.mark.parametrize(("strict", "wanted"), [(False, False), (True, True)])
def test_rego_v0_may_use_deprecated_functions_unless_strict(strict, wanted):
    module = parse_module("a.rego", "package p\n\nx = any([true])\n", v0=True)
    checks = PolicyChecks(strict=strict)
    if wanted:
        with pytest.raises(PolicyError, match="deprecated built-in function calls in expression"):
            compile_checked([module], checks)
    else:
        compile_checked([module], checks)


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs_opa) for name in SCHEMA_RULES])
def test_the_schema_of_the_input_is_held_against_rules_as_opa_does(name, tmp_path):
    text = f"package p\n\n{SCHEMA_RULES[name]}\n"
    (tmp_path / "schema.json").write_text(json.dumps(INPUT_SCHEMA))
    wanted = opa_says(tmp_path, text, "-s", "schema.json")
    assert check(text, schemas={"schema": INPUT_SCHEMA}) == wanted
    assert bool(wanted) is not name.startswith("good")


@pytest.mark.parametrize(
    "text", [pytest.param(each, marks=needs_opa) for each in (ANNOTATED, REDECLARED)]
)
def test_annotations_are_checked_as_opa_does(text, tmp_path):
    assert check(text) == opa_says(tmp_path, text) != ""


def test_schemas_of_annotations_can_be_left_alone():
    assert check(ANNOTATED, annotations=False) == ""


def test_a_schema_that_is_not_there_is_named():
    wanted = "a.rego:25: rego_type_error: undefined schema: schema.not_given"
    assert wanted in check(ANNOTATED, schemas={})


QUERIES = (
    '1 + "a"',
    "x := data.p.y.b",
    "data.p.f(1)",
    'data.p.f("a")',
    "foo(1)",
    'x = 1; x == "a"',
    "data.p.y[x]",
    "data.p.s[1]",
    "any([true])",
    'concat("a")',
    'x := [y | y := 1 + "a"]',
    "data.p.f",
    '{"a": 1} == {"b": 1}',
    'plus(1, 2, x); x == "a"',
    "data.foo.bar[x]",
    'some x in [1]; x == "a"',
    '[1, 2][x] == "a"',
    "data.x.f(1)",
    "x := print(1)",
    "http.send({}).foo == 1",
    "data.p.y == 1",
    "count = 1",
)


@pytest.mark.parametrize("text", [pytest.param(each, marks=needs_opa) for each in QUERIES])
def test_queries_are_checked_as_opa_does(text, tmp_path):
    (tmp_path / "p.rego").write_text(LIBRARY)
    command = [OPA, "eval", "-f", "json", "-d", "p.rego", text]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False).stdout
    wanted = [
        (error["code"], error["message"], error["location"]["row"], error["location"]["col"])
        for error in json.loads(said).get("errors", [])
    ]
    checks = PolicyChecks()
    compiled = compile_checked([parse_module("p.rego", LIBRARY)], checks)
    found = []
    try:
        compile_query(parse_query(text), compiled, checks=checks)
    except PolicyError as exc:
        for problem in exc.problems:
            at = problem.location
            found.append((problem.code, problem.message, at.row, at.col))
    assert found == wanted


def test_deeply_nested_comprehensions_are_checked_in_no_time():
    term = "1"
    for depth in range(25):
        term = f"[x{depth} | x{depth} := {term}]"
    assert check(f"package p\n\nx := {term}\n") == ""
