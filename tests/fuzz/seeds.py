"""What fuzzing begins with: policies that use the whole language, and plans made of them."""

from __future__ import annotations

from functools import cache

from benchmarks.workloads import (
    abac_with_conditions,
    api_with_token,
    many_rules,
    rbac_with_obligations,
    sets_and_comprehensions,
)
from policy_agent.rego import Policy
from tests.conformance import cases

_LANGUAGE = """package app.main

import data.lib.other as o

# METADATA
# title: everything
default allow := false
default limit(_) := 10

allow if {
	some i, role in input.roles
	role == o.names[i]
	not denied with input.x as {"y": 1} with data.lib as {}
	every k, v in input.tags { k != v; count(v) > 0 }
}

allow := true if input.n + 1 * 2 - (3 / 4) % 5 >= 7 else := false if { not input.m } else := null

denied contains msg if { some x in {1, 2.5, 1e3}; msg := sprintf("%d %v %s", [x, {x}, "a\\u0041"]) }

limit(x) := y if { [y, _] := [x | {3}, x & {4}]; walk(x, [a, b]); a[0] != b }

grid[x][y].z := w if { x := input.a[_][y]; w = {k: v | v := input.b[k]} }

raw := `a\\b` if regex.match("^a+$", input.s)
p.q["r"].s contains [1, {"a": set()}, null, true] if input.p.q[["x"]][{1}]
text := $"a {input.x} b"
"""
_OLD = """package old
import data.a.b as c
p[x] { x := input[_]; not q(x, 1) }
q(x, y) = z { z := x + y } else = 3 { x > 1 }
q2(x) = 1 { x } { not x }
r[k] = v { v := c[k] }
default s = {"a": [1, 2]}
s = t { t := {k: v | v = input[k]; walk(v, [["p"], _])} }
"""


@cache
def policies() -> tuple[str, ...]:
    """Return texts of policies: our own, and OPA's cases where this machine has them."""
    made = (rbac_with_obligations, api_with_token, sets_and_comprehensions, abac_with_conditions)
    texts = [_LANGUAGE, _OLD]
    texts += [text for make in made for text in make().modules.values()]
    texts += many_rules(13).modules.values()
    return tuple(texts)


@cache
def more_policies() -> tuple[str, ...]:
    """Return the modules of OPA's cases as well, where this machine has them."""
    found: dict[str, None] = dict.fromkeys(policies())
    if cases.directory() is not None:
        for syntax in ("v0", "v1"):
            found |= dict.fromkeys(text for case in cases.load(syntax) for text in case.modules)
    return tuple(found)


@cache
def plans() -> tuple[bytes, ...]:
    """Return a plan of each policy."""
    made = []
    for text in policies():
        versions = {"p.rego": 0} if text == _OLD else {}
        with Policy.from_modules({"p.rego": text}, rego_versions=versions) as policy:
            made.append(policy.plan())
    return tuple(made)
