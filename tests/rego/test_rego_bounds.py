"""What a policy can make the process do is bounded: it ends in an error, in time."""

from __future__ import annotations

import time

import pytest

from policy_agent.errors import EvaluationError, PolicyError
from policy_agent.rego import Policy
from policy_agent.rego.check import bounds
from policy_agent.rego.values import to_json
from policy_agent.rego.work import STEPS_BETWEEN_CHECKS

DEADLINE_SECONDS = 0.3
PATIENCE_SECONDS = 20


def doubled(name: str, first: str, step: str, times: int = 40) -> str:
    """Return rules each of which is made of the one before, twice."""
    rules = [f"{name}0 := {first}"]
    rules += [f"{name}{n + 1} := {step.replace('$', f'{name}{n}')}" for n in range(times)]
    return "\n".join(rules)


# The built-in keeps the types small: comparing those of literals that double is slow in OPA, too.
ARRAYS = doubled("x", "[1]", "array.concat([$], [$])")
OTHER_ARRAYS = doubled("z", "[1]", "array.concat([$], [$])")
OBJECTS = doubled("y", '{"k": 1}', '{"a": $, "b": $}')
TEXT = doubled("t", '"0123456789abcdef"', 'concat("", [$, $])', 22)

RANGES = "{{range $.a}}" * 12 + "x" + "{{end}}" * 12

POLICIES = {
    "as the answer": f"{ARRAYS}\np := x40",
    "an object as the answer": f"{OBJECTS}\np := y40",
    "compared": f"{ARRAYS}\n{OTHER_ARRAYS}\np if x40 == z40",
    "ordered": f"{ARRAYS}\n{OTHER_ARRAYS}\np := sort([x40, z40])",
    "in a set": f"{ARRAYS}\np := count({{x40}})",
    "as a key": f"{OBJECTS}\np := count({{y40: 1}})",
    "as JSON": f"{ARRAYS}\np := count(json.marshal(x40))",
    "as YAML": f"{ARRAYS}\np := count(yaml.marshal(x40))",
    "as text": f'{ARRAYS}\np := count(sprintf("%v", [x40]))',
    "walked": f"{ARRAYS}\np := count([1 | walk(x40, _)])",
    "doubled text": f"{doubled('t', '[1]', 'json.marshal($)', 60)}\np := count(t60)",
    "joined text": f"{doubled('t', 'input.s', 'concat(``, [$, $])', 60)}\np := count(t60)",
    "joined arrays": f"{doubled('t', '[1]', 'array.concat($, $)', 60)}\np := count(t60)",
    "replaced": f'{TEXT}\np := count(replace(t20, "0", t20))',
    "replaced in one pass": f'{TEXT}\np := count(strings.replace_n({{"0": t20}}, t20))',
    "replaced nothing": f'{TEXT}\np := count(replace(t10, "", t20))',
    "replaced by pattern": f'{TEXT}\np := count(regex.replace(t20, "[0-9]", t20))',
    "padded": f'p := count(sprintf("{"%1000000d" * 200}", [n | some n in numbers.range(1, 200)]))',
    "repeated": f'{TEXT}\np := count(sprintf("{"%s" * 200}", [t20 | numbers.range(1, 200)[_]]))',
    "a long range": "p := count(numbers.range(0, 1000000000000))",
    "a long range downwards": "p := count(numbers.range_step(1000000000000, 0, 2))",
    "a wide network": 'p := count(net.cidr_expand("::/8"))',
    "a product": "p := [1 | some a in r; some b in r; some c in r]\nr := numbers.range(1, 3000)",
    "a template": f'p := strings.render_template(`{RANGES}`, {{"a": numbers.range(1, 9)}})',
}


@pytest.mark.parametrize("rules", POLICIES.values(), ids=POLICIES)
def test_what_grows_without_end_is_ended(rules):
    started = time.process_time()
    with (
        Policy.from_modules({"p.rego": f"package t\n{rules}\n"}) as sources,
        Policy.from_modules(
            {}, plan=sources.plan(["t/p"]), deadline_seconds=DEADLINE_SECONDS
        ) as policy,
        pytest.raises(EvaluationError) as caught,
    ):
        policy.evaluate("t/p", {"s": "x"})
    assert caught.value.problem.code in ("eval_cancel_error", "eval_builtin_error")
    assert time.process_time() - started < PATIENCE_SECONDS


@pytest.mark.parametrize(
    "last", ["x40 == y40", "x40 == 1", "{x40, y40}[_]"], ids=["compared", "in an error", "united"]
)
def test_types_that_double_are_refused(last, monkeypatch):
    monkeypatch.setattr(bounds, "_STEPS", 2 * STEPS_BETWEEN_CHECKS)
    lines = [f"x{n + 1} := [x{n}, x{n}]\ny{n + 1} := [y{n}, y{n}]" for n in range(40)]
    body = "\n".join(["x0 := 1", "y0 := 1", *lines, last])
    with pytest.raises(PolicyError, match="types of this policy are too large to check"):
        Policy.from_modules({"a.rego": f"package a\np if {{\n{body}\n}}"})


def test_what_is_large_but_no_more_than_that_is_made():
    rules = 'p := count(concat("", [sprintf("%0100000d", [n]) | some n in numbers.range(1, 20)]))'
    with Policy.from_modules({"p.rego": f"package t\n{rules}\n"}, deadline_seconds=60) as policy:
        assert policy.evaluate("t/p") == 2_000_000


def test_one_evaluation_does_not_count_against_the_next():
    rules = 'p := count([x | some n in numbers.range(1, 100); x := sprintf("%01000000d", [n])])'
    with Policy.from_modules({"p.rego": f"package t\n{rules}\n"}, deadline_seconds=60) as policy:
        for _ in range(4):
            assert policy.evaluate("t/p") == 100


def test_what_comes_after_an_evaluation_is_not_ended_by_its_deadline():
    policy = Policy.from_modules({"p.rego": "package p\n\nx := 1\n"}, deadline_seconds=0.05)
    assert policy.evaluate("p/x") == 1
    time.sleep(0.06)
    # As the decision log does, long after the answer.
    many = list(range(10 * STEPS_BETWEEN_CHECKS))
    assert to_json(many) == many
