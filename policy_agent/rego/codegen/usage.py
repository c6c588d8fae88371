"""How the statements of a plan use locals: what they read and write, and what may be unset.

Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct, field

from policy_agent.rego import plan
from policy_agent.rego.plan import Block, Local, Operand, Stmt

_READ_FIELDS: Final = {
    plan.ArrayAppendStmt: ("value", "array"),
    plan.AssignVarOnceStmt: ("source", "target"),
    plan.AssignVarStmt: ("source",),
    plan.CallDynamicStmt: ("args", "path"),
    plan.CallStmt: ("args",),
    plan.DotStmt: ("source", "key"),
    plan.EqualStmt: ("a", "b"),
    plan.IsArrayStmt: ("source",),
    plan.IsDefinedStmt: ("source",),
    plan.IsObjectStmt: ("source",),
    plan.IsSetStmt: ("source",),
    plan.IsUndefinedStmt: ("source",),
    plan.LenStmt: ("source",),
    plan.NotEqualStmt: ("a", "b"),
    plan.ObjectInsertOnceStmt: ("key", "value", "object"),
    plan.ObjectInsertStmt: ("key", "value", "object"),
    plan.ObjectMergeStmt: ("a", "b"),
    plan.ResultSetAddStmt: ("value",),
    plan.ReturnLocalStmt: ("source",),
    plan.ScanStmt: ("source",),
    plan.SetAddStmt: ("value", "set"),
    plan.WithStmt: ("local", "value"),
}
_WRITE_FIELDS: Final = {
    plan.CallDynamicStmt: ("result",),
    plan.CallStmt: ("result",),
    plan.ScanStmt: ("key", "value"),
    plan.WithStmt: ("local",),
}
_EXTENDED_FIELD: Final = {
    plan.ArrayAppendStmt: "array",
    plan.ObjectInsertOnceStmt: "object",
    plan.ObjectInsertStmt: "object",
    plan.SetAddStmt: "set",
}
_CAN_BE_UNDEFINED: Final = (
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
    plan.NotEqualStmt,
)


def reads(stmt: Stmt) -> Iterator[Local]:
    """Yield the locals that a statement itself reads, not those of its blocks."""
    for name in _READ_FIELDS.get(type(stmt), ()):
        value = getattr(stmt, name)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, int):
                yield item
            elif isinstance(item, plan.LocalOperand):
                yield item.value


def writes(stmt: Stmt) -> tuple[Local, ...]:
    """Return the locals that a statement itself sets."""
    if hasattr(stmt, "target"):
        return (stmt.target,)
    return tuple(getattr(stmt, name) for name in _WRITE_FIELDS.get(type(stmt), ()))


def blocks_of(stmt: Stmt) -> tuple[Block, ...]:
    """Return the blocks nested in a statement."""
    if isinstance(stmt, plan.BlockStmt):
        return stmt.blocks
    if isinstance(stmt, plan.NotStmt | plan.ScanStmt | plan.WithStmt):
        return (stmt.block,)
    return ()


def statements(blocks: Iterable[Block]) -> Iterator[Stmt]:
    """Yield every statement below some blocks, outer before inner."""
    waiting = list(blocks)
    while waiting:
        for stmt in waiting.pop().stmts:
            yield stmt
            waiting += blocks_of(stmt)


Defined = frozenset[Local]


class _Exits(Struct):
    """What is certainly set where a block is left: `levels[0]` at its own end."""

    levels: dict[int, Defined] = field(default_factory=dict)

    def add(self, level: int, defined: Defined) -> None:
        known = self.levels.get(level)
        self.levels[level] = defined if known is None else known & defined

    def rise(self, inner: _Exits) -> None:
        for level, defined in inner.levels.items():
            if level:
                self.add(level - 1, defined)


class Usage(Struct):
    """The locals of one outermost block.

    Attributes:
        read_counts: local -> how many statements read it, per operand.
        write_counts: local -> how many statements set it.
        exposed: locals read where this block may not have set them.
        copies: local -> locals that it is copied to.
        extended: locals whose value other statements add to.
    """

    read_counts: Counter[Local] = field(default_factory=Counter)
    write_counts: Counter[Local] = field(default_factory=Counter)
    exposed: set[Local] = field(default_factory=set)
    copies: dict[Local, list[Local]] = field(default_factory=dict)
    extended: set[Local] = field(default_factory=set)

    @classmethod
    def of(cls, block: Block) -> Usage:
        """Return how a block uses locals."""
        usage = cls()
        for stmt in statements((block,)):
            usage._count(stmt)
        usage._walk(block, frozenset())
        for source, targets in usage.copies.items():
            if not usage.extended.isdisjoint(targets):
                usage.extended.update((source, *targets))
        return usage

    def _count(self, stmt: Stmt) -> None:
        self.read_counts.update(reads(stmt))
        self.write_counts.update(writes(stmt))
        name = _EXTENDED_FIELD.get(type(stmt))
        if name is not None:
            self.extended.add(getattr(stmt, name))
        if isinstance(stmt, plan.AssignVarStmt) and isinstance(stmt.source, plan.LocalOperand):
            self.copies.setdefault(stmt.source.value, []).append(stmt.target)

    def _walk(self, block: Block, defined: Defined) -> tuple[Defined | None, _Exits]:
        """Follow a block from what is set at its start; None where its end is not reached."""
        exits = _Exits()
        for stmt in block.stmts:
            self.exposed.update(local for local in reads(stmt) if local not in defined)
            after = self._after(stmt, defined, exits)
            if after is None:
                return None, exits
            defined = after
        return defined, exits

    def _after(self, stmt: Stmt, defined: Defined, exits: _Exits) -> Defined | None:
        if isinstance(stmt, plan.BreakStmt):
            exits.add(stmt.index, defined)
            return None
        if isinstance(stmt, plan.ReturnLocalStmt):
            return None
        if isinstance(stmt, plan.BlockStmt):
            return self._after_blocks(stmt, defined, exits)
        if isinstance(stmt, plan.ScanStmt):
            _, inner = self._walk(stmt.block, defined | {stmt.key, stmt.value})
            exits.rise(inner)
            return defined
        if isinstance(stmt, plan.NotStmt):
            end, inner = self._walk(stmt.block, defined)
            exits.rise(inner)
            if end is not None:
                exits.add(0, end)
            return inner.levels.get(0, defined)
        if isinstance(stmt, plan.WithStmt):
            end, inner = self._walk(stmt.block, defined | {stmt.local})
            exits.rise(inner)
            exits.add(0, inner.levels.get(0, defined))
            return None if end is None else (end - {stmt.local}) | (defined & {stmt.local})
        if isinstance(stmt, _CAN_BE_UNDEFINED):
            exits.add(0, defined)
        return defined.union(writes(stmt))

    def _after_blocks(
        self, stmt: plan.BlockStmt, defined: Defined, exits: _Exits
    ) -> Defined | None:
        for block in stmt.blocks:
            end, inner = self._walk(block, defined)
            exits.rise(inner)
            ends = [known for known in (end, inner.levels.get(0)) if known is not None]
            if not ends:
                return None
            defined = frozenset.intersection(*ends)
        return defined


def local_of(operand: Operand) -> Local | None:
    """Return the local of an operand, None for constants."""
    return operand.value if isinstance(operand, plan.LocalOperand) else None
