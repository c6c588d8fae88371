"""Plans written by hand, in as few words as possible."""

from __future__ import annotations

from typing import Any

from policy_agent.model import UNDEFINED
from policy_agent.rego import plan
from policy_agent.rego.context import Context
from policy_agent.rego.plan import Block, BoolOperand, LocalOperand, Stmt, StringOperand
from policy_agent.rego.runtime.runner import PlanRunner

INPUT, DATA, RESULT = LocalOperand(0), LocalOperand(1), 2
TRUE, FALSE = BoolOperand(True), BoolOperand(False)


def local(number: int) -> LocalOperand:
    return LocalOperand(number)


def string(index: int) -> StringOperand:
    return StringOperand(index)


def block(*stmts: Stmt) -> Block:
    return Block(stmts)


def rule(*blocks: Block, name: str = "g0.data.t.p", params: tuple[int, ...] = (0, 1)) -> plan.Func:
    """Return a function whose value is local 2 after its blocks."""
    path = tuple(name.replace("data.", "").split("."))
    return plan.Func(name, params, RESULT, (*blocks, block(plan.ReturnLocalStmt(RESULT))), path)


def policy(
    *funcs: plan.Func,
    strings: tuple[str, ...] = (),
    builtins: tuple[plan.BuiltinFunc, ...] = (),
    files: tuple[str, ...] = (),
) -> plan.Policy:
    """Return a plan with one entry point `t/p` for the last function."""
    entry = plan.Plan(
        "t/p",
        (
            block(
                plan.CallStmt(funcs[-1].name, (INPUT, DATA), 2),
                plan.MakeObjectStmt(3),
                plan.ObjectInsertStmt(string(len(strings)), local(2), 3),
                plan.ResultSetAddStmt(3),
            ),
        ),
    )
    return plan.Policy(plan.Static((*strings, "result"), builtins, files), (entry,), funcs)


def value_of(
    *funcs: plan.Func,
    strings: tuple[str, ...] = (),
    builtins: tuple[str, ...] = (),
    data: Any = None,
    input: Any = UNDEFINED,
    context: Context | None = None,
) -> Any:
    """Return the value of the last function."""
    declared = tuple(map(plan.BuiltinFunc, builtins))
    made = policy(*funcs, strings=strings, builtins=declared)
    return PlanRunner(made, {} if data is None else data).evaluate("t/p", input, context)
