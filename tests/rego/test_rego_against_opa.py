"""The same modules, data and input through the door and through `opa eval`."""

import json
import os
import shutil
import subprocess

import pytest

from policy_agent.codec import decode_json
from policy_agent.errors import PolicyError
from policy_agent.model import UNDEFINED
from policy_agent.rego import Policy

OPA = os.environ.get("OPA_BIN") or shutil.which("opa") or ""
pytestmark = [
    pytest.mark.opa,
    pytest.mark.skipif(not OPA, reason="no opa binary: set OPA_BIN"),
]

RBAC = """package app.rbac

import data.roles as granted

# METADATA
# title: whether the user may
default allow := false

allow if {
	some role in granted[input.user]
	some permission in data.permissions[role]
	permission.action == input.action
}

obligations contains {"type": "log", "level": level} if {
	allow
	level := {"read": "info", "write": "audit"}[input.action]
}

reasons contains sprintf("%s has no role", [input.user]) if not granted[input.user]

decision := {"allow": allow, "obligations": obligations, "reasons": reasons}
"""
RBAC_DATA = {
    "roles": {"ann": ["admin"], "bob": ["reader"]},
    "permissions": {
        "admin": [{"action": "read"}, {"action": "write"}],
        "reader": [{"action": "read"}],
    },
}
MIXED = """package mixed
import rego.v1

numbers := [1, 2.5, 1e3, 12345678901234567890, -7 % 3, 0.1 * 3, round(2.5)]
strings := [upper("straße"), concat("-", ["a", "b"]), trim(" x ", " "), "\\u00e9\\/", `\\d`]
sets := {3, "a", null, true, [1], 1} | {2}
objects := object.union({"a": 1}, {"b": {"c": 2}, "<": "&"})
matches if regex.match(`^a.c$`, input.text)
first := [v | v := input.list[_]][0]
undefined_part := {"x": input.nothing}
reached := graph.reachable({"a": ["b"], "b": []}, {"a"})
"""


def opa_value(tmp_path, modules, data, path, given):
    for name, source in modules.items():
        (tmp_path / name).write_text(source, "utf-8")
    (tmp_path / "data.json").write_text(json.dumps(data), "utf-8")
    arguments = [OPA, "eval", "--format", "json", "-d", str(tmp_path / "data.json")]
    for name in modules:
        arguments += ["-d", str(tmp_path / name)]
    if given is not UNDEFINED:
        arguments.append("--stdin-input")
    reference = "data" + "".join(f"[{json.dumps(part)}]" for part in path.split("/"))
    run = subprocess.run(
        [*arguments, reference], input=json.dumps(given) if given is not UNDEFINED else None,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    result = decode_json(run.stdout.encode()).get("result")
    return result[0]["expressions"][0]["value"] if result else UNDEFINED


@pytest.mark.parametrize(
    ("path", "given"),
    [
        pytest.param("app/rbac/decision", {"user": "ann", "action": "write"}, id="allowed"),
        pytest.param("app/rbac/decision", {"user": "bob", "action": "write"}, id="denied"),
        pytest.param("app/rbac/decision", {"user": "eve", "action": "read"}, id="unknown"),
        pytest.param("app/rbac", {"user": "ann", "action": "read"}, id="package"),
        pytest.param("app/rbac/decision", UNDEFINED, id="no_input"),
        pytest.param("app/rbac/decision", None, id="null_input"),
        pytest.param("roles/ann", UNDEFINED, id="data"),
        pytest.param("nothing/here", UNDEFINED, id="undefined"),
    ],
)
def test_rbac_decisions_are_the_same(tmp_path, path, given):
    modules = {"rbac.rego": RBAC}
    with Policy.from_modules(modules, RBAC_DATA) as policy:
        ours = policy.evaluate(path, given)
    assert ours == opa_value(tmp_path, modules, RBAC_DATA, path, given)


@pytest.mark.parametrize(
    "rule",
    ["numbers", "strings", "sets", "objects", "matches", "first", "undefined_part", "reached"],
)
def test_values_are_the_same(tmp_path, rule):
    modules = {"mixed.rego": MIXED}
    given = {"text": "abc", "list": [{"é": "\u2028"}]}
    with Policy.from_modules(modules) as policy:
        ours = policy.evaluate(f"mixed/{rule}", given)
    assert ours == opa_value(tmp_path, modules, {}, f"mixed/{rule}", given)


def opa_problems(tmp_path, source):
    file = tmp_path / "m.rego"
    file.write_text(source, "utf-8")
    run = subprocess.run(
        [OPA, "check", "--format", "json", str(file)], capture_output=True, text=True, check=False
    )
    return [
        (error["code"], error["message"], error["location"]["row"], error["location"]["col"])
        for error in json.loads(run.stderr)["errors"]
    ]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("allow { true }", id="body"),
        pytest.param("p[x] { x := 1 }", id="partial_set"),
        pytest.param("p[x] = y { x := 1; y := 2 }", id="partial_object"),
        pytest.param("f(x) = y { y := x }", id="function"),
        pytest.param("p if true else = 2 { true }", id="else"),
        pytest.param('p["x"]', id="element"),
        pytest.param("p.q.r", id="bare"),
        pytest.param("p if foo.bar(1)", id="unknown_function"),
        pytest.param("import data.lib\np := [lib.f(1), data.x[y].f(2)]", id="unknown_in_data"),
        pytest.param("f(x) := 1\np := [f(), f(1, 2), f(1, 2, 3)]", id="arity"),
        pytest.param("q := 1\np := q(1)", id="rule_called"),
        pytest.param("p := a ! b", id="illegal_character"),
        pytest.param("p if true; q := 1", id="semicolon"),
    ],
)
def test_refusals_are_opas(tmp_path, body):
    source = f"package a\n{body}\n"
    with pytest.raises(PolicyError) as caught:
        Policy.from_modules({"m.rego": source})
    ours = [(p.code, p.message, p.location.row, p.location.col) for p in caught.value.problems]
    assert ours == opa_problems(tmp_path, source)
