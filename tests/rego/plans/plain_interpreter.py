"""Random plans, and the slowest and plainest way to run them, to compare generated code with."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from policy_agent.model import UNDEFINED
from policy_agent.rego import plan
from policy_agent.rego.plan import Block, Operand, Stmt
from policy_agent.rego.runtime import operations
from policy_agent.rego.values import Value, equal

STRINGS = ("a", "b", "c", "1")
RESULT = 9


class Interpreter:
    """Runs the blocks of one function over a dict of locals."""

    def __init__(self, document: Value, data: Value) -> None:
        self.locals: dict[int, Any] = {0: document, 1: data, RESULT: []}

    def value(self, operand: Operand | int) -> Value:
        if isinstance(operand, plan.StringOperand):
            return STRINGS[operand.value]
        if isinstance(operand, plan.BoolOperand):
            return operand.value
        number = operand if isinstance(operand, int) else operand.value
        return self.locals.get(number, UNDEFINED)

    def run(self, block: Block) -> int | None:
        """Return None at the block's end, else how many blocks to leave beyond this one."""
        for stmt in block.stmts:
            left = self.step(stmt)
            if left is not None:
                return left
        return None

    def step(self, stmt: Stmt) -> int | None:  # noqa: C901 - one case per statement
        match stmt:
            case plan.BreakStmt(index):
                return index
            case plan.BlockStmt(blocks):
                return self.first_jump(blocks)
            case plan.ScanStmt(source, key, value, block):
                for one, two in operations.items(self.value(source)):
                    self.locals[key] = one
                    self.locals[value] = two
                    if (left := self.first_jump((block,))) is not None:
                        return left
            case plan.NotStmt(block):
                left = self.run(block)
                return 0 if left is None else left - 1 if left else None
            case plan.WithStmt(local, path, value, block):
                before, new = self.value(local), self.value(value)
                names = [STRINGS[index] for index in path]
                self.locals[local] = operations.upsert(before, names, new) if names else new
                left = self.run(block)
                self.locals[local] = before
                return None if left is None else max(left - 1, 0)
            case plan.DotStmt(source, key, target):
                self.locals[target] = operations.dot(self.value(source), self.value(key))
                return 0 if self.locals[target] is UNDEFINED else None
            case plan.EqualStmt(a, b):
                return None if equal(self.value(a), self.value(b)) else 0
            case plan.NotEqualStmt(a, b):
                return 0 if equal(self.value(a), self.value(b)) else None
            case plan.IsDefinedStmt(source):
                return 0 if self.value(source) is UNDEFINED else None
            case plan.IsUndefinedStmt(source):
                return None if self.value(source) is UNDEFINED else 0
            case plan.AssignVarStmt(source, target):
                self.locals[target] = self.value(source)
            case plan.AssignVarOnceStmt(source, target):
                now = self.value(target)
                self.locals[target] = operations.once(now, self.value(source), "rule")
            case plan.ResetLocalStmt(target):
                self.locals[target] = UNDEFINED
            case plan.MakeNumberRefStmt(index, target):
                self.locals[target] = int(STRINGS[index])
            case plan.ArrayAppendStmt(value, array):
                self.locals[array].append(self.value(value))
        return None

    def first_jump(self, blocks: tuple[Block, ...]) -> int | None:
        """Run blocks in turn; return where a jump beyond them leads."""
        for block in blocks:
            left = self.run(block)
            if left:
                return left - 1
        return None


def random_block(chance: random.Random, depth: int = 3, nesting: int = 0) -> Block:
    """Return a block of random statements over few locals, so that they meet often."""

    def local() -> int:
        return chance.choice((0, 1, 3, 4, 5, 6, 7))

    def target() -> int:
        return chance.choice((3, 4, 5, 6, 7))

    def text() -> Operand:
        return plan.StringOperand(chance.randrange(3))

    def any_operand() -> Operand:
        flag = plan.BoolOperand(chance.random() < 0.5)
        return chance.choice((plan.LocalOperand(local()), plan.LocalOperand(local()), text(), flag))

    def inner() -> Block:
        return random_block(chance, depth - 1, nesting + 1)

    def path() -> tuple[int, ...]:
        return chance.choice(((), (0,), (0, 1)))

    makers: list[Callable[[], Stmt]] = [
        lambda: plan.DotStmt(plan.LocalOperand(local()), text(), target()),
        lambda: plan.DotStmt(plan.LocalOperand(local()), text(), target()),
        lambda: plan.DotStmt(plan.LocalOperand(local()), any_operand(), target()),
        lambda: plan.EqualStmt(any_operand(), any_operand()),
        lambda: plan.NotEqualStmt(any_operand(), any_operand()),
        lambda: plan.IsDefinedStmt(local()),
        lambda: plan.IsUndefinedStmt(local()),
        lambda: plan.AssignVarStmt(any_operand(), target()),
        lambda: plan.AssignVarOnceStmt(any_operand(), chance.choice((3, 8))),
        lambda: plan.ResetLocalStmt(target()),
        lambda: plan.MakeNumberRefStmt(3, target()),
        lambda: plan.ArrayAppendStmt(any_operand(), RESULT),
        lambda: plan.ArrayAppendStmt(any_operand(), RESULT),
        lambda: plan.BreakStmt(chance.randint(0, nesting)),
    ]
    if depth:
        makers += [
            lambda: plan.BlockStmt(tuple(inner() for _ in range(chance.randint(1, 3)))),
            lambda: plan.ScanStmt(local(), target(), target(), inner()),
            lambda: plan.NotStmt(inner()),
            lambda: plan.WithStmt(chance.choice((0, 1)), path(), any_operand(), inner()),
        ]
    return Block(tuple(chance.choice(makers)() for _ in range(chance.randint(1, 5))))
