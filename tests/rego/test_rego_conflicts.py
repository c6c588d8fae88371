"""A conflict or failure is met exactly where OPA meets it."""

import pytest

from policy_agent.errors import EvaluationError
from policy_agent.model import UNDEFINED
from policy_agent.rego import Policy
from tests.conformance.opa_server import OpaError, opa_server
from tests.support import OPA

POLICY = """package a

import data.base
import future.keywords.and
import future.keywords.or

broken := 1
broken := 2

split := 1
split := 2 if input.z

compared if { broken; input.x == "v" }
compared_array if { broken; input.pair == ["v", 1] }
compared_object if { broken; input.object == {"v": 1} }
compared_set if { broken; {1} == input.x }
compared_backwards if { broken; "v" == input.x }
compared_references if { broken; input.x == input.y }
compared_later if { broken; v := input.x; v == "v" }
compared_variable if { broken; some v in ["v"]; input.none == v }
compared_base if { broken; base.x == 2 }
compared_rule if { broken; other == 2 }
compared_below if { broken; v := input; v.x == "v" }
compared_by_constant if { broken; k := "k"; base.keyed[k].x == 2 }
unequal if { broken; input.none != "v" }
less if { broken; input.n < 1 }
defined if { broken; input.none }
not_defined if { broken; not input.x }
defined_base if { broken; base.none.x }
inside := {"x": input.none} if broken
head := input.none if broken
assigned := v if { broken; v := input.none }
member if { broken; "v" in input.list }
member_of_constants if { broken; input.x in {"v", "u"} }
member_of_input if { broken; input.x in input.list }
starts if { broken; startswith(input.x, "v") }
ends if { broken; endswith(input.x, "v") }
any_starts if { broken; strings.any_prefix_match(input.x, ["v", "u"]) }
matches if { broken; glob.match("v:*", [":"], input.x) }
contained if { broken; contains(input.x, "v") }
with_input if { broken; input.x == "v" with input.x as "w" }
chained := 1 if { broken; input.x == "v" } else := 2 if { broken; input.x == "u" } else := 3
partial contains v if { v := broken; input.x == "v" }
keyed[k] := 1 if { k := broken; input.x == "v" }
f(x) := 1 if { broken; x == "v" }
f(x) := 2 if { x == "w" }
called := f(input.x)
g(x) := 1 if { broken; x.y == "v" }
called_below := g(input.pair)
only_if_asked := split
both if { broken; input.x == "v" and input.n == 0 }
either if { broken; input.x == "v" or input.n == 0 }
either_or_any if { broken; input.x == "v" or input.n > 0 }
body_or if { broken; { y := input.x; y == "v" } or {y := input.n; y == 0 } }
object["a"] := split
object["b"] := 1
one_of_object := object.b
conflicting_one_of_object := object.a
some_of_object := [v | some k in ["b", "c"]; v := object[k]]
all_of_object := [v | some v in object]
members contains v if { some v in ["a", "b"]; v == "b"; split }
members contains v if { some v in ["a", "b"]; v == "a" }
one_of_members if members["a"]
conflicting_one_of_members if members["b"]
nested[k].x[l] := split if { k := "a"; l := "a" }
nested[k].x[l] := 1 if { k := "b"; l := "b" }
one_of_nested := nested.b.x.b
conflicting_one_of_nested := nested.a.x.a
keyed_by_input[input.key] := 1 if broken
by_input := keyed_by_input["b"]
early if { some v in [1, 2]; v == 1 }
early if broken
early_number := 1 if { some v in [1, 2]; v == 1 }
early_number := 1 if broken
early_with if { true with input as 1 }
early_with if { broken with input as 1 }
not_early := 1 if { some v in [1, 2]; v == 1 }
not_early := 2 if broken
other := 1
"""
DATA = {"base": {"x": 1, "keyed": {"k": {"x": 1}}}}
INPUTS = (
    {},
    {"x": "w", "n": 2, "list": ["w"], "pair": ["w", 1], "object": {"w": 1}},
    {"x": "v", "n": 0, "list": ["v"], "pair": ["v", 1], "object": {"v": 1}, "y": "v"},
    {"z": True, "key": "a", "list": "v", "pair": [1], "n": "n"},
)
NAMES = sorted({line.split(" ")[0].split("[")[0] for line in POLICY.splitlines() if ":=" in line
                or " if " in line} - {"f(x)", "g(x)"})  # fmt: skip


def ours(given):
    found = {}
    with Policy.from_modules({"a.rego": POLICY}, DATA) as policy:
        for name in NAMES:
            try:
                value = policy.evaluate(f"a/{name}", given)
            except EvaluationError as exc:
                value = exc.problem.code
            if value is not UNDEFINED:
                found[name] = value
    return found


def theirs(given, opa):
    found = {}
    for name in NAMES:
        try:
            value = opa.evaluate(f"a/{name}", given)
        except OpaError as exc:
            (value,) = exc.codes
        if value is not UNDEFINED:
            found[name] = value
    return found


@pytest.fixture(scope="module")
def opa():
    with opa_server() as server:
        server.load({"a.rego": POLICY}, DATA)
        yield server


@pytest.mark.opa
@pytest.mark.skipif(OPA is None, reason="no opa: set OPA_BIN or put it on the PATH")
@pytest.mark.parametrize("given", INPUTS, ids=str)
def test_a_rule_that_the_input_rules_out_does_not_conflict(given, opa):
    assert ours(given) == theirs(given, opa)


STOPS_EARLY = """package b

import data.a

any_value if x2 = data.a[x1]
by_base_document if data.a[_] == 1
by_rule if data.a[_] == 2
none_equal if data.a[_] == 3
each contains key if data.a[key]
below if data.a[_].deep
"""


@pytest.mark.skipif(OPA is None, reason="no opa: set OPA_BIN or put it on the PATH")
@pytest.mark.parametrize(
    "rules",
    [
        "r0 := 2\nr1 := x if some x in [1, 2]",
        "r0 := x if some x in [1, 2]\nr1 := 2",
        "p.q := 2\nr := x if some x in [1, 2]",
        'r0 := {"deep": 1}\nr1.y := x if some x in [1, 2]',
        "f(y) := x + y if some x in [1, 2]\nr1 := 2",
    ],
)
@pytest.mark.parametrize("data", [{"a": {"base": 1}}, {}], ids=["with data", "without"])
def test_rules_after_the_first_that_is_enough_are_not_evaluated(rules, data):
    modules = {"a.rego": f"package a\n{rules}", "b.rego": STOPS_EARLY}
    with opa_server() as opa, Policy.from_modules(modules, data) as policy:
        opa.load(modules, data)
        for line in STOPS_EARLY.splitlines()[4:]:
            path = f"b/{line.split()[0]}"
            try:
                expected = opa.evaluate(path, {})
            except OpaError:
                with pytest.raises(EvaluationError):
                    policy.evaluate(path, {})
            else:
                assert policy.evaluate(path, {}) == expected, path
