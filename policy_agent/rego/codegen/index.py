"""Find the rules that can match before running them.

Pure. Where the alternatives of a function begin by comparing one path below its parameters with
constants, a table from constant to alternatives makes their number irrelevant. OPA does the same
for its syntax trees (v1/ast/index.go).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from policy_agent.model import UNDEFINED
from policy_agent.rego import plan
from policy_agent.rego.codegen.usage import reads, statements, writes
from policy_agent.rego.plan import Block, Local, Operand, Stmt
from policy_agent.rego.runtime.operations import dot
from policy_agent.rego.values import Frozen, Value, freeze

# Below this, running every alternative costs less than looking one up.
MIN_ALTERNATIVES: Final = 12

Path: TypeAlias = tuple[Local, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Index:
    """A function's alternatives by the constant they want at one path.

    Attributes:
        head: the blocks that run first.
        alternatives: each one's blocks.
        tail: the blocks that run last.
        position: of the parameter that the path begins with.
        keys: the path below that parameter.
        table: constant -> numbers of alternatives that want it.
        others: numbers of alternatives that must always run.
    """

    head: tuple[Block, ...]
    alternatives: tuple[tuple[Block, ...], ...]
    tail: tuple[Block, ...]
    position: int
    keys: tuple[str, ...]
    table: Mapping[Frozen, Sequence[int]]
    others: Sequence[int]

    def matching(self, *parameters: Value) -> Sequence[int]:
        """Return the numbers of the alternatives that can match."""
        value = parameters[self.position]
        for key in self.keys:
            value = dot(value, key)
        if value is UNDEFINED:
            return self.others
        found = self.table.get(freeze(value))
        return self.others if found is None else [*found, *self.others]


def find_index(
    func: plan.Func, strings: Sequence[str], numbers: Mapping[int, Value]
) -> Index | None:
    """Return the index of a function, None where it would not help.

    Args:
        strings: the plan's string constants.
        numbers: string index -> value, of the plan's number constants.
    """
    if len(func.blocks) < MIN_ALTERNATIVES:
        return None
    head, alternatives, tail = split(func)
    if len(alternatives) < MIN_ALTERNATIVES or not _independent(func, alternatives):
        return None
    wanted = [_Prefix(func, strings, numbers).wanted(blocks[0]) for blocks in alternatives]
    path = _most_selective(wanted)
    if path is None:
        return None
    table: dict[Frozen, list[int]] = {}
    others: list[int] = []
    for number, paths in enumerate(wanted):
        if path in paths:
            table.setdefault(paths[path], []).append(number)
        else:
            others.append(number)
    position = func.params.index(path[0])
    return Index(head, alternatives, tail, position, path[1], table, others)


def _most_selective(wanted: Sequence[Mapping[Path, Frozen]]) -> Path | None:
    """Return the path where a value leaves the fewest alternatives to run, if some help."""
    counts = Counter(path for paths in wanted for path in paths)
    constants: dict[Path, set[Frozen]] = {}
    for paths in wanted:
        for path, constant in paths.items():
            constants.setdefault(path, set()).add(constant)
    costs = {
        path: len(wanted) - count + count / len(constants[path])
        for path, count in counts.items()
        if count >= MIN_ALTERNATIVES
    }
    return min(costs, key=lambda path: costs[path], default=None)


def split(
    func: plan.Func,
) -> tuple[tuple[Block, ...], tuple[tuple[Block, ...], ...], tuple[Block, ...]]:
    """Return the blocks that run first, each alternative's, and those that run last."""
    blocks = tuple(func.blocks)
    begins = bool(blocks) and _only(blocks[0], (plan.MakeSetStmt, plan.MakeObjectStmt))
    start = int(begins)
    end = len(blocks)
    while end > start and _is_last(blocks[end - 1], func.result):
        end -= 1
    alternatives: list[tuple[Block, ...]] = []
    for block in blocks[start:end]:
        if alternatives and hands_over(block, func.result):
            alternatives[-1] += (block,)
        else:
            alternatives.append((block,))
    return blocks[:start], tuple(alternatives), blocks[end:]


def _only(block: Block, kinds: tuple[type[Stmt], ...]) -> bool:
    return len(block.stmts) == 1 and isinstance(block.stmts[0], kinds)


def _is_last(block: Block, result: Local) -> bool:
    first = block.stmts[0] if block.stmts else None
    if isinstance(first, plan.IsUndefinedStmt):
        return first.source == result
    return isinstance(first, plan.ReturnLocalStmt)


def hands_over(block: Block, result: Local) -> bool:
    """Return whether a block only passes on the value of the one before it."""
    return (
        len(block.stmts) == 2
        and isinstance(block.stmts[0], plan.IsDefinedStmt)
        and isinstance(block.stmts[1], plan.AssignVarOnceStmt)
        and block.stmts[1].target == result
    )


def _independent(func: plan.Func, alternatives: tuple[tuple[Block, ...], ...]) -> bool:
    """Return whether alternatives share nothing but the parameters and the result."""
    common = {*func.params, func.result}
    for blocks in alternatives:
        read: set[Local] = set()
        written: set[Local] = set(common)
        for stmt in statements(blocks):
            if isinstance(stmt, plan.ReturnLocalStmt):
                return False
            read.update(reads(stmt))
            written.update(writes(stmt))
        if not read <= written:
            return False
    return True


@dataclass(slots=True)
class _Prefix:
    """Follows the statements at the start of an alternative that change nothing."""

    func: plan.Func
    strings: Sequence[str]
    numbers: Mapping[int, Value]
    paths: dict[Local, Path] = field(default_factory=dict)
    constants: dict[Local, Value] = field(default_factory=dict)

    def wanted(self, block: Block) -> dict[Path, Frozen]:
        """Return path -> the constant that must be there for the alternative to match."""
        self.paths = {local: (local, ()) for local in self.func.params}
        found: dict[Path, Frozen] = {}
        for stmt in block.stmts:
            if isinstance(stmt, plan.EqualStmt):
                self._compare(stmt, found)
            elif not self._follow(stmt):
                break
        return found

    def _compare(self, stmt: plan.EqualStmt, found: dict[Path, Frozen]) -> None:
        for one, two in ((stmt.a, stmt.b), (stmt.b, stmt.a)):
            path, constant = self._path(one), self._constant(two)
            if path is not None and constant is not UNDEFINED:
                found.setdefault(path, freeze(constant))

    def _follow(self, stmt: Stmt) -> bool:
        """Note what a statement sets; return whether it can do no more than that."""
        if isinstance(stmt, plan.ResetLocalStmt | plan.NopStmt):
            return True
        if isinstance(stmt, plan.MakeNumberRefStmt):
            self.constants[stmt.target] = self.numbers[stmt.index]
        elif isinstance(stmt, plan.MakeNumberIntStmt):
            self.constants[stmt.target] = stmt.value
        elif isinstance(stmt, plan.DotStmt | plan.AssignVarStmt):
            path = self._path(stmt.source)
            if isinstance(stmt, plan.DotStmt) and path is not None:
                key = self._constant(stmt.key)
                path = (path[0], (*path[1], key)) if type(key) is str else None
            self.paths.pop(stmt.target, None)
            self.constants.pop(stmt.target, None)
            if path is not None:
                self.paths[stmt.target] = path
        else:
            return False
        return True

    def _path(self, operand: Operand) -> Path | None:
        return self.paths.get(operand.value) if isinstance(operand, plan.LocalOperand) else None

    def _constant(self, operand: Operand) -> Value:
        if isinstance(operand, plan.StringOperand):
            return self.strings[operand.value]
        if isinstance(operand, plan.BoolOperand):
            return operand.value
        return self.constants.get(operand.value, UNDEFINED)
