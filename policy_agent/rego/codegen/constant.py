"""Rules whose only value is one constant: the first alternative that holds ends them.

Pure. OPA stops early for the same rules (v1/topdown/eval.go).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from policy_agent.rego import plan
from policy_agent.rego.codegen.index import hands_over, split
from policy_agent.rego.codegen.usage import reads, statements, writes
from policy_agent.rego.plan import Block, BoolOperand, Local, Stmt, StringOperand

_Number: TypeAlias = plan.MakeNumberRefStmt | plan.MakeNumberIntStmt | plan.MakeNullStmt
_Operand: TypeAlias = BoolOperand | StringOperand | _Number
_NUMBER_STATEMENTS: Final = (plan.MakeNumberRefStmt, plan.MakeNumberIntStmt, plan.MakeNullStmt)


class Constant(Struct, frozen=True):
    """A function that may return as soon as a local gets its constant.

    Attributes:
        blocks: the function's, without what returning early makes needless.
        locals: to assign one of them is to return.
    """

    blocks: tuple[Block, ...]
    locals: frozenset[Local]


def find_constant(func: plan.Func) -> Constant | None:
    """Return how a function can end early, None where alternatives may give other values."""
    head, alternatives, tail = split(func)
    if head or not alternatives:
        return None
    found: set[Local] = set()
    operands: set[_Operand] = set()
    blocks: list[Block] = []
    for alternative in alternatives:
        last = _last(alternative)
        if last is None or not hands_over(last, func.result):
            return None
        local = next(reads(last.stmts[0]))
        numbers = _numbers(alternative)
        for stmt in statements(alternative):
            operand = _assigned(stmt, local, func.result, numbers)
            if operand is None:
                return None
            operands.update(operand)
        found.add(local)
        blocks += _shortened(alternative, local)
    if len(operands) != 1 or func.result in found or not found.isdisjoint(func.params):
        return None
    if tail != (Block((plan.ReturnLocalStmt(func.result),)),):
        blocks += (_without_test(block, func.result) for block in tail)
    return Constant(tuple(blocks), frozenset(found))


def _last(alternative: tuple[Block, ...]) -> Block | None:
    """Return the block that passes an alternative's value on; with `else` it is an inner one."""
    if len(alternative) > 1:
        return alternative[-1]
    stmts = alternative[0].stmts
    if len(stmts) == 1 and isinstance(stmts[0], plan.BlockStmt) and stmts[0].blocks:
        return stmts[0].blocks[-1]
    return None


def _numbers(alternative: tuple[Block, ...]) -> dict[Local, _Number]:
    """Return the locals that are one number, or null, wherever they are set."""
    found: dict[Local, _Number | None] = {}
    for stmt in statements(alternative):
        number = replace(stmt, target=0) if isinstance(stmt, _NUMBER_STATEMENTS) else None
        for local in writes(stmt):
            found[local] = number if found.get(local, number) == number else None
    return {local: number for local, number in found.items() if number is not None}


def _assigned(
    stmt: Stmt, local: Local, result: Local, numbers: Mapping[Local, _Number]
) -> tuple[_Operand, ...] | None:
    """Return the constant a statement gives the alternative; None if it does something else."""
    if isinstance(stmt, plan.NotStmt) and any(
        local in writes(inner) for inner in statements((stmt.block,))
    ):
        return None
    if isinstance(stmt, plan.ReturnLocalStmt):
        return None
    if local not in writes(stmt) and result not in writes(stmt):
        return ()
    if isinstance(stmt, plan.ResetLocalStmt):
        return ()
    if not isinstance(stmt, plan.AssignVarOnceStmt):
        return None
    if isinstance(stmt.source, plan.LocalOperand):
        if stmt.target == local and stmt.source.value in numbers:
            return (numbers[stmt.source.value],)
        return () if stmt.source.value == local and stmt.target == result else None
    return (stmt.source,) if stmt.target == local else None


def _shortened(alternative: tuple[Block, ...], local: Local) -> Iterator[Block]:
    """Yield an alternative's blocks without resetting and passing on what is never set."""
    if len(alternative) != 2:
        yield from alternative
        return
    body = alternative[0]
    first = body.stmts[0] if body.stmts else None
    unread = all(local not in reads(stmt) or _sets(stmt, local) for stmt in statements((body,)))
    if unread and first == plan.ResetLocalStmt(local):
        yield Block(body.stmts[1:])
    else:
        yield body


def _sets(stmt: Stmt, local: Local) -> bool:
    return isinstance(stmt, plan.AssignVarOnceStmt) and stmt.target == local


def _without_test(block: Block, result: Local) -> Block:
    """Return a last block without asking whether there is a value yet: there is none."""
    first = block.stmts[0] if block.stmts else None
    return Block(block.stmts[1:]) if first == plan.IsUndefinedStmt(result) else block
