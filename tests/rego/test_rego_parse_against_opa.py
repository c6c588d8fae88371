"""The same texts through our parser and through `opa parse`: trees, or problems word for word."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import Any

import pytest

from policy_agent.codec import decode_json, encode_json
from policy_agent.errors import PolicyError
from policy_agent.rego.ast_json import module_to_json
from policy_agent.rego.parse import parse_module

OPA = os.environ.get("OPA_BIN") or shutil.which("opa") or ""
pytestmark = [
    pytest.mark.opa,
    pytest.mark.skipif(not OPA, reason="no opa binary: set OPA_BIN"),
]

LOGIC = (
    "import future.keywords.and\nimport future.keywords.or\nimport future.keywords.not\n"
    "p if {\n\t%s\n}\n"
)
METADATA = """
# METADATA
# title: T
# authors:
# - Jo Doe <jo@example.com>
# - email: x@example.com
# related_resources:
# - https://example.com
# - {ref: https://example.org, description: D}
# schemas:
# - input: schema.input
# - data.x.y: {type: string}
# organizations: [o]
# custom: {a: {b: [1, 2.50, null]}}
# labels: {c: d}
default p := 1

# METADATA
# scope: document
# entrypoint: true
p := 2 if input.x

# METADATA
# description: |
#   two
#   lines
p := 3 if input.y
"""

V1 = {
    "imports": 'import data.x["a b"] as y\nimport input.z\nimport rego.v1\np := y',
    "rule-forms": "p.q := 1\np.a.b if input\np[x] if x := 1\np[x] := x if x := 1\np.q contains x",
    "bare-rules": "p := 1\nq = 2\nf(x) = x\nr.s := 3\nr[4] := 5\nr.t[6] = 7",
    "heads": "default f(_) := 1\nf(x, _) := x if x\np.q[x].r[_] := x if x\np contains x if x := 1",
    "else": 'p := 1 if input.a else := 2 if { input.b } else = "c"\nf(_) := 1 if 2 else := 3',
    "bodies": "p if { 1; 2\n3 }\np if not input.x\np if { not x with input as 1 with data.a as 2 }",
    "set-or-body": "p if {1}\nq if {1, 2} == {2}\nr if {1 | true}\ns if {}\nt if {1: 2}",
    "some-every": "p if { some x, y; some z in [1]; some k, v in {1: 2}; every a, b in x { a } }",
    "in": "p := 1 in [2]\nq := [1, 2 in [3]]\nr := {1, (2, 3 in [4])}\ns if 1, 2 in 3 in [4]",
    "numbers": "p := [0, -0, 1.0, -2.50, 1e3, 1E-3, 123456789012345678901234567890, 0.1e+2, - 3]",
    "strings": 'p := ["", "a\\n\\u0041\\"", `raw\n\\n`, "é€😀"]',
    "collections": "p := [,1,]\nq := {,1,}\nr := {1: 2,}\ns := set()\nt := {3, 1, 1.0}\nu := []",
    "objects": 'p := {"b": 1, "a": [1, {}], x: y, 2: 3, [1]: 2, null: {1}, "b": 3}',
    "set-order": 'p := {x, "a", 1, null, [1], {}, {1}, f(1), x.y, [y | y], {y | y}, {y: 1 | y}}',
    "comprehensions": "p := [x | x := [y | y := 1][_]]\nq := {x: {y | y} | x}\nr := {a + 1: b | c}",
    "unions": "p := [a | b, c]\nq := {a | b; c}\nr := {1 + 2 | 3, 4}\ns := {x: y | z, w: v | u}",
    "operators": "p := 1 + 2 * 3 - 4 / 5 % 6 == 7 | 8 & 9\nq if 1 < 2 != 3\nr := (1 + 2) * -x.y",
    "references": 'p := a.b["c"].d[_].e[x.y[1]].if(2).not[f(3)]\nq := [1][0]\nr := {"a": 1}.a',
    "calls": "p := f()\nq := a.b.c(1, 2,).d[e](3).f\nr if f(x)\ns if { f(x) = y; y := f(1)[2] }",
    "templates": 'p := $"a {x} \\{ {1}{"s"} {f(x) + 1}"\nq := $`r {x.y[_]}\n\\n`\nr := $""',
    "keywords": "p.if.contains := 1\nin.x := 2\nq := input.default.else\nr if { every.x; false.y }",
    "comments": "# a\np := [ # b\n\t1, # c\r\n] #d\n#",
    "metadata": METADATA,
    "not-bodies": "import future.keywords.not\np if not { x; y }\nq if not x with input as 1",
    "logic": LOGIC
    % "a and b or not c and (d or e)\n\t{ f; g } or h with input as 1\n\tnot (i and j)",
    "logic-calls": LOGIC % "or({1}, {2}) == and({3}, {4})\n\t({1 | x}) or ({x} and y)",
}
V0 = {
    "partial": "p[x] { x := 1 }\np[x] = y { y = x }\np[1]\np[1] = 2\np.q.r { a }\nq = 1 { a } {b}",
    "else": "p = 1 { a } else = 2 { b } else { c }\nf(_) { a } else = 3",
    "names": "p { in; if; every; contains }\nif = 1",
    "imported": "import future.keywords\np contains x if some x in [1]\nq if every y in [1] { y }",
    "rego-v1": "import rego.v1\np contains 1 if true",
}
REFUSED = {
    "no-if": "p { true }\nf(x) { true }\np[x] { true } { false }",
    "no-contains": "p[x]\np.q\np.q.r\nq",
    "keyword-names": "if := 1",
    "every-name": "every := 1",
    "default-forms": "default p := x\ndefault f(1) := 2\ndefault f(x, x) := 3",
    "default-value": "default p contains 1",
    "else": "p := 1 if x else\n",
    "else-on-set": "p contains 1 if x else := 2",
    "else-on-variable": "p[x] := 1 if x else := 2",
    "missing-value": "p := \nq := 1",
    "missing-key": "p contains if x",
    "missing-operand": "p := 1 +\nq := [1 2]\nr := {1: }",
    "unclosed": "p := {1, 2",
    "unclosed-body": "p if {\n\tx\n",
    "one-line": "p if { x y }",
    "empty-body": "p if not x.y\nq { }",
    "bad-some": "p if { some 1 }\nq if { not some x }",
    "bad-every": "p if every x { y }",
    "with": "p if x with 1 as 2",
    "strings": 'p := "a\\q"\nq := "open\nr := $"{x',
    "numbers": "p := 01\nq := 1.\nr := 1e\ns := 1x\nt := 1e999999",
    "exponents": "p := 1e99999999999999999999\nq := -1e-9999999999\nr := 1e99999",
    "characters": "p := !x\nq := $x\nr := @\ns := \xa0 1",
    "imports": "import foo.bar\nimport data.if\nimport data.x as input\nimport future.x",
    "future": "import future.keywords.nope",
    "rego": "import rego.v9",
    "aliases": "import rego.v1 as x",
    "package": "package b",
    "not-a-rule": "1 == 2\nx; y\nnot z\ncount(x)\n(a)\nsome b\nc with input as 1",
    "call-head": "f(x).y := 1",
    "reference-head": 'p if "a".b',
    "template": 'p if { $"{not x}" }\nq := $"{y := 1}"',
    "space-in-reference": "p := a. b",
    "logic-with": LOGIC % "a with input as 1 and b",
    "logic-braces": LOGIC % "{1, 2} or a",
    "logic-value": LOGIC % "not {1, 2} & x",
    "logic-union": LOGIC % "{a | b} and c",
    "logic-void": LOGIC % "print(1) or a",
    "logic-group": LOGIC % "a and (b",
    "metadata-blank": "# METADATA\n#\np := 1",
    "metadata-scope": "# METADATA\n# scope: nope\np := 1\n# METADATA\n# scope: package\nq := 2",
    "metadata-type": "# METADATA\n# entrypoint: maybe later\n# custom: []\np := 1",
    "metadata-author": "# METADATA\n# authors: [{}]\np := 1",
    "metadata-schema": "# METADATA\n# schemas:\n# - 1a: schema.x\np := 1",
}


def opa_parse(tmp_path, source: str, *, v0: bool) -> Any:
    (tmp_path / "p.rego").write_text(source, encoding="utf-8", newline="")
    version = "--v0-compatible" if v0 else "--v1-compatible"
    done = subprocess.run(
        [OPA, "parse", "--format", "json", version, "p.rego"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        timeout=30,
    )
    return decode_json(done.stdout or done.stderr)


def ours(source: str, *, v0: bool) -> Any:
    try:
        module = parse_module("p.rego", source, v0=v0)
    except PolicyError as exc:
        return {"errors": [problem.to_json() for problem in exc.problems]}
    return decode_json(encode_json(module_to_json(module)))


def shown(answer: Any) -> str:
    for error in answer.get("errors", ()):
        error.pop("details", None)
    return json.dumps(answer, indent=1, sort_keys=True, default=str)


def named(texts: dict[str, str]) -> list[Any]:
    return [pytest.param(text, id=name) for name, text in texts.items()]


@pytest.mark.parametrize("text", named(V1))
def test_tree_is_opas(tmp_path, text):
    source = f"package a.b\n{text}\n"
    answer = opa_parse(tmp_path, source, v0=False)
    assert "errors" not in answer, answer
    assert shown(ours(source, v0=False)) == shown(answer)


@pytest.mark.parametrize("text", named(V0))
def test_v0_tree_is_opas(tmp_path, text):
    source = f"package a.b\n{text}\n"
    answer = opa_parse(tmp_path, source, v0=True)
    assert "errors" not in answer, answer
    assert shown(ours(source, v0=True)) == shown(answer)


@pytest.mark.parametrize("text", named(REFUSED))
def test_problems_are_opas(tmp_path, text):
    source = f"package a.b\n{text}\n"
    answer = opa_parse(tmp_path, source, v0=False)
    assert "errors" in answer
    assert shown(ours(source, v0=False)) == shown(answer)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("", id="empty"),
        pytest.param("# only a comment", id="comment"),
        pytest.param("p := 1", id="no-package"),
        pytest.param("package a\np if { some x in y; every z in x { z } }", id="no-imports"),
        pytest.param("package a\np if { x }", id="no-if"),
        pytest.param("package a\np contains x { x }", id="no-contains"),
        pytest.param('package a\np = $"x"', id="template"),
        pytest.param("package a\np { x in y }", id="no-in"),
    ],
)
def test_v0_problems_are_opas(tmp_path, source):
    answer = opa_parse(tmp_path, source, v0=True)
    assert "errors" in answer
    assert shown(ours(source, v0=True)) == shown(answer)
