"""Which statements can be a condition of an `if`, and where breaks lead.

Pure.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field

from policy_agent.rego import plan
from policy_agent.rego.codegen.usage import blocks_of
from policy_agent.rego.plan import Block, Stmt

_ALWAYS_A_CONDITION: Final = (
    plan.AssignVarStmt,
    plan.CallDynamicStmt,
    plan.CallStmt,
    plan.DotStmt,
    plan.EqualStmt,
    plan.IsArrayStmt,
    plan.IsDefinedStmt,
    plan.IsObjectStmt,
    plan.IsSetStmt,
    plan.IsUndefinedStmt,
    plan.LenStmt,
    plan.MakeNullStmt,
    plan.MakeNumberIntStmt,
    plan.MakeNumberRefStmt,
    plan.NopStmt,
    plan.NotEqualStmt,
    plan.ObjectMergeStmt,
)
COMES_WITH_A_VALUE: Final = (
    plan.AssignVarStmt,
    plan.MakeNullStmt,
    plan.MakeNumberIntStmt,
    plan.MakeNumberRefStmt,
    plan.NopStmt,
    plan.ObjectMergeStmt,
)


def break_level(block: Block) -> int | None:
    """Return the level of the break that ends a block, None where it has none."""
    last = block.stmts[-1] if block.stmts else None
    return last.index if isinstance(last, plan.BreakStmt) else None


class Shapes(Struct):
    """Answers about the blocks of one function, each found once."""

    _conditional: dict[int, bool] = field(default_factory=dict)
    _levels: dict[int, frozenset[int]] = field(default_factory=dict)

    def is_condition(self, stmt: Stmt) -> bool:
        """Return whether a statement is no more than a test, with what it assigns."""
        if isinstance(stmt, _ALWAYS_A_CONDITION):
            return True
        if isinstance(stmt, plan.NotStmt):
            return self.is_test(stmt.block) and break_level(stmt.block) is None
        if isinstance(stmt, plan.BlockStmt):
            return bool(stmt.blocks) and all(
                self.is_test(block) and break_level(block) == 1 for block in stmt.blocks
            )
        return False

    def is_test(self, block: Block) -> bool:
        """Return whether a block consists of tests and at most a final break."""
        known = self._conditional.get(id(block))
        if known is None:
            stmts = block.stmts if break_level(block) is None else block.stmts[:-1]
            known = all(map(self.is_condition, stmts))
            self._conditional[id(block)] = known
        return known

    def levels(self, block: Block) -> frozenset[int]:
        """Return how far jumps inside a block lead beyond it: 0 is its own end.

        Only jumps that nesting of `if` statements does not express count.
        """
        known = self._levels.get(id(block))
        if known is None:
            found: set[int] = set()
            for stmt in block.stmts:
                found |= self._levels_of(stmt)
            known = frozenset(found)
            self._levels[id(block)] = known
        return known

    def _levels_of(self, stmt: Stmt) -> set[int]:
        if isinstance(stmt, plan.BreakStmt):
            return {stmt.index} - {0}
        if self.is_condition(stmt):
            return set()
        found: set[int] = set()
        for block in blocks_of(stmt):
            level = break_level(block)
            if isinstance(stmt, plan.BlockStmt) and level == 1 and self.is_test(block):
                continue
            found |= {inner - 1 for inner in self.levels(block) if inner}
        return found
