"""Whole plans: their source, hostile names, deep nesting, deadlines and indexes."""

from __future__ import annotations

import gc
import linecache
import re
import time
from pathlib import Path

import pytest

from policy_agent.errors import EvaluationDeadlineError, EvaluationError, PolicyError
from policy_agent.model import UNDEFINED
from policy_agent.rego import Policy, plan
from policy_agent.rego.codegen.program import Program
from policy_agent.rego.context import Context
from policy_agent.rego.plan_json import read_plan
from policy_agent.rego.runtime.runner import PlanRunner
from policy_agent.rego.values import RegoSet
from tests.rego.plans.plan_building import (
    DATA,
    FALSE,
    INPUT,
    RESULT,
    TRUE,
    block,
    local,
    policy,
    rule,
    string,
    value_of,
)

DOCUMENTATION = Path(__file__).parents[3] / "docs" / "engine.md"
HOSTILE = (
    "'",
    '"',
    '"""',
    "\n    import os\n",
    "{__import__('os')}",
    "\\",
    "\x00",
    "def f0(): pass",
    "s0",
    "U",
    "\u0130\u2028",
)


def alternatives(count: int) -> plan.Func:
    """Return a rule with one alternative per number: `p if input.a == "<n>"; input.b == "x"`."""
    blocks = []
    for index in range(count):
        blocks += [
            block(
                plan.ResetLocalStmt(3),
                plan.DotStmt(INPUT, string(0), 4),
                plan.EqualStmt(local(4), string(index + 3)),
                plan.DotStmt(INPUT, string(1), 5),
                plan.EqualStmt(local(5), string(2)),
                plan.AssignVarOnceStmt(string(index + 3), 3),
            ),
            block(plan.IsDefinedStmt(3), plan.AssignVarOnceStmt(local(3), RESULT)),
        ]
    return rule(*blocks)


def strings_for(count: int) -> tuple[str, ...]:
    return ("a", "b", "x", *map(str, range(count)))


def test_source_reads_like_the_rule():
    func = rule(
        block(
            plan.ResetLocalStmt(3),
            plan.DotStmt(INPUT, string(0), 4),
            plan.DotStmt(local(4), string(1), 5),
            plan.EqualStmt(local(5), string(2)),
            plan.AssignVarOnceStmt(TRUE, 3),
        ),
        block(plan.IsDefinedStmt(3), plan.AssignVarOnceStmt(local(3), RESULT)),
    )
    program = Program(policy(func, strings=("resource", "type", "order")))
    assert program.source("g0.data.t.p").splitlines() == [
        "def f0(scope, l0, l1):",
        "    if (",
        "        (l4 := l0.get(s0, U) if type(l0) is dict else dot(l0, s0)) is not U",
        "        and (l4.get(s1, U) if type(l4) is dict else dot(l4, s1)) == s2",
        "    ):",
        "        scope.held[0] = True",
        "        scope[0] = True",
        "        return True",
        "    scope[0] = U",
        "    return U",
    ]


def test_the_documentation_shows_what_is_generated():
    text = DOCUMENTATION.read_text("utf-8")
    rule_text = re.search(r"`package app` with `(.+?)` becomes:", text)
    source = re.search(r"```python\n(def f0.+?)```", text, re.DOTALL)
    assert rule_text
    assert source
    with Policy.from_modules({"app.rego": f"package app\n{rule_text[1]}\n"}) as made:
        program = Program(read_plan(made.plan(["app/allow"])))
    assert program.source("g0.data.app.allow") == source[1]


def test_a_constant_rule_ends_with_the_first_alternative_that_holds():
    def alternative(*stmts):
        end = block(plan.IsDefinedStmt(3), plan.AssignVarOnceStmt(local(3), RESULT))
        return block(plan.ResetLocalStmt(3), *stmts, plan.AssignVarOnceStmt(TRUE, 3)), end

    failing = plan.CallStmt("to_number", (string(0),), 5)
    loop = plan.ScanStmt(
        0, 6, 7, block(plan.EqualStmt(local(7), string(0)), plan.AssignVarOnceStmt(TRUE, 3))
    )
    default = block(plan.IsUndefinedStmt(RESULT), plan.AssignVarOnceStmt(FALSE, RESULT))
    first = (block(plan.ResetLocalStmt(3), loop), alternative()[1])
    func = rule(*first, *alternative(failing), default)
    number = plan.BuiltinFunc("to_number")
    runner = PlanRunner(policy(func, strings=("x",), builtins=(number,)), {})
    assert runner.evaluate("t/p", ["x"], Context(strict=True)) is True
    assert runner.evaluate("t/p", ["y"]) is False
    with pytest.raises(EvaluationError, match="to_number"):
        runner.evaluate("t/p", ["y"], Context(strict=True))


def test_source_is_the_same_every_time():
    made = [policy(alternatives(40), strings=strings_for(40)) for _ in range(2)]
    one, two = (Program(item) for item in made)
    assert one.source("g0.data.t.p") == two.source("g0.data.t.p")
    assert one.source("t/p") == two.source("t/p")


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_of_a_plan_enters_the_source(text):
    func = rule(
        block(plan.DotStmt(INPUT, string(0), 3), plan.EqualStmt(local(3), string(0))),
        block(plan.MakeObjectStmt(RESULT), plan.ObjectInsertStmt(string(0), string(0), RESULT)),
        name=text,
    )
    made = policy(func, strings=(text,))
    runner = PlanRunner(made, {})
    assert runner.evaluate("t/p", {text: text}) == {text: text}
    assert runner.program.source(text) == PlanRunner(
        policy(plan.Func("other", func.params, RESULT, func.blocks), strings=("harmless",)), {}
    ).program.source("other")


def test_unknown_builtins_are_refused_by_name():
    func = rule(block(plan.CallStmt("no.such.thing", (INPUT,), RESULT)))
    with pytest.raises(PolicyError, match=r"undefined function no\.such\.thing"):
        value_of(func, builtins=("no.such.thing",))


def test_an_unknown_entry_point_is_refused():
    runner = PlanRunner(policy(rule()), {})
    with pytest.raises(PolicyError, match="no entry point nowhere"):
        runner.evaluate("nowhere")


@pytest.mark.parametrize("depth", [5, 25, 90])
def test_nested_loops_of_any_depth_run(depth):
    nested = block(plan.ArrayAppendStmt(local(depth + 2), RESULT))
    for level in range(depth, 0, -1):
        source = 0 if level == 1 else level + 1
        nested = block(
            plan.ScanStmt(source, 1000 + level, level + 2, nested),
            plan.MakeNullStmt(3000),
        )
    func = rule(block(plan.MakeArrayStmt(0, RESULT)), nested)
    document: object = "end"
    for _ in range(depth):
        document = [document]
    assert value_of(func, input=document) == ["end"]


def test_deep_loops_can_be_left_and_returned_from():
    nested = block(
        plan.EqualStmt(local(40), string(0)), plan.ReturnLocalStmt(40), plan.BreakStmt(29)
    )
    for level in range(30, 0, -1):
        nested = block(plan.ScanStmt(0, 100 + level, 40 if level == 30 else 200 + level, nested))
    func = rule(nested, block(plan.AssignVarStmt(string(1), RESULT)))
    assert value_of(func, strings=("b", "none"), input=["a"]) == "none"
    assert value_of(func, strings=("b", "none"), input=["b"]) == "b"


def test_many_statements_in_a_row_run():
    stmts: list[plan.Stmt] = [plan.MakeArrayStmt(0, RESULT)]
    for _ in range(150):
        stmts += [plan.DotStmt(INPUT, string(0), 3), plan.ArrayAppendStmt(local(3), RESULT)]
    assert value_of(rule(block(*stmts)), strings=("a",), input={"a": 1}) == [1] * 150


def test_the_deadline_ends_nested_loops():
    inner = block(plan.NotEqualStmt(local(4), local(6)))
    for source in (5, 3):
        inner = block(plan.ScanStmt(0, source, source + 1, inner))
    loops = block(plan.ScanStmt(0, 7, 8, inner))
    started = time.monotonic()
    with pytest.raises(EvaluationDeadlineError):
        value_of(rule(loops), input=list(range(1000)), context=Context(deadline=started + 0.05))
    assert time.monotonic() - started < 2


def test_the_deadline_ends_calls_that_double_each_time():
    funcs = [rule(block(plan.AssignVarStmt(TRUE, RESULT)), name="f0", params=(0, 1, 3))]
    for level in range(1, 40):
        call = plan.CallStmt(f"f{level - 1}", (INPUT, DATA, local(3)), 4)
        done = plan.AssignVarStmt(TRUE, RESULT)
        funcs.append(rule(block(call, call, done), name=f"f{level}", params=(0, 1, 3)))
    last = rule(block(plan.CallStmt("f39", (INPUT, DATA, TRUE), RESULT)))
    with pytest.raises(EvaluationDeadlineError):
        value_of(*funcs, last, context=Context(deadline=time.monotonic() + 0.05))


def test_rules_without_end_are_an_error():
    func = rule(block(plan.CallStmt("g0.data.t.p", (INPUT, DATA), RESULT)))
    with pytest.raises(EvaluationError, match="too deeply"):
        value_of(func)


def test_statements_on_unfit_values_are_an_error():
    func = rule(block(plan.MakeNullStmt(3), plan.ArrayAppendStmt(TRUE, 3)))
    with pytest.raises((EvaluationError, PolicyError)):
        value_of(func)


def test_source_lines_are_kept_for_tracebacks_as_long_as_the_program():
    runner = PlanRunner(policy(rule(block(plan.AssignVarStmt(TRUE, RESULT)))), {})
    runner.evaluate("t/p")
    names = [name for name in linecache.cache if name.startswith("<rego plan ")]
    assert any("    l2 = True\n" in linecache.getlines(name) for name in names)
    own = list(runner.program._sources)
    del runner
    gc.collect()
    assert not set(own) & set(linecache.cache)


def test_an_index_gives_what_running_every_alternative_gives():
    indexed = PlanRunner(policy(alternatives(50), strings=strings_for(50)), {})
    assert "matching" in indexed.program.source("g0.data.t.p")
    for wanted in (*map(str, range(50)), "50", 7, None, True):
        for other in ("x", "y"):
            want = wanted if wanted in strings_for(50)[3:] and other == "x" else UNDEFINED
            assert indexed.evaluate("t/p", {"a": wanted, "b": other}) == want
    assert indexed.evaluate("t/p", {}) is UNDEFINED
    assert indexed.evaluate("t/p") is UNDEFINED


def test_an_index_compiles_only_what_matches():
    runner = PlanRunner(policy(alternatives(3000), strings=strings_for(3000)), {})
    assert runner.evaluate("t/p", {"a": "1234", "b": "x"}) == "1234"
    assert len(runner.program._sources) == 3


def test_an_index_keeps_alternatives_without_the_constant():
    blocks = [block(plan.MakeSetStmt(RESULT))]
    for index in range(20):
        test = plan.EqualStmt(local(4), string(index + 1))
        stmts = [plan.DotStmt(INPUT, string(0), 4)] + ([test] if index % 4 else [])
        blocks.append(block(*stmts, plan.SetAddStmt(string(index + 1), RESULT)))
    strings = ("a", *map(str, range(20)))
    runner = PlanRunner(policy(rule(*blocks), strings=strings), {})
    assert "matching" in runner.program.source("g0.data.t.p")
    assert runner.evaluate("t/p", {"a": "5"}) == RegoSet.of(["0", "4", "8", "12", "16", "5"])
    assert runner.evaluate("t/p", {}) == RegoSet.of([])


def test_an_index_still_finds_conflicts():
    one = alternatives(20)
    two = plan.Func(one.name, one.params, one.result, (*one.blocks[:-1], *one.blocks), one.path)
    swapped = strings_for(20)
    assert value_of(two, strings=swapped, input={"a": "3", "b": "x"}) == "3"
    conflicting = block(
        plan.DotStmt(INPUT, string(0), 4),
        plan.EqualStmt(local(4), string(6)),
        plan.AssignVarOnceStmt(string(7), RESULT),
    )
    three = plan.Func(one.name, one.params, one.result, (conflicting, *one.blocks), one.path)
    with pytest.raises(EvaluationError, match="conflicting values"):
        value_of(three, strings=swapped, input={"a": "3", "b": "x"})


def test_alternatives_that_use_each_others_locals_all_run():
    blocks = list(alternatives(20).blocks)
    # The first sets what the third wants: only a plan by hand does that.
    blocks[0] = block(plan.ResetLocalStmt(3), plan.AssignVarStmt(string(7), 8))
    third = (plan.DotStmt(INPUT, string(0), 4), plan.EqualStmt(local(4), string(5)))
    blocks[4] = block(*third, plan.AssignVarStmt(local(8), 3))
    runner = PlanRunner(policy(rule(*blocks[:-1]), strings=strings_for(20)), {})
    assert "matching" in runner.program.source("g0.data.t.p")
    assert runner.evaluate("t/p", {"a": "4", "b": "x"}) == "4"
    assert runner.evaluate("t/p", {"a": "2", "b": "x"}) == "4"
    assert "matching" not in runner.program.source("g0.data.t.p")


def test_an_index_follows_a_local_that_is_set_again():
    blocks = [
        block(
            plan.DotStmt(INPUT, string(0), 4),
            plan.MakeNumberIntStmt(7, 4),
            plan.MakeNumberIntStmt(7, 5),
            plan.EqualStmt(local(4), local(5)),
            plan.SetAddStmt(string(index), RESULT),
        )
        for index in range(20)
    ]
    func = rule(block(plan.MakeSetStmt(RESULT)), *blocks)
    strings = ("a", *map(str, range(20)))
    assert len(value_of(func, strings=strings, input={"a": 1})) == 20


def test_a_function_without_blocks_has_no_value():
    empty = plan.Func("g0.data.t.p", (0, 1), 2, ())
    runner = PlanRunner(policy(empty), {})
    assert runner.evaluate("t/p", {}) is UNDEFINED
    assert "return U" in runner.program.source("g0.data.t.p")
