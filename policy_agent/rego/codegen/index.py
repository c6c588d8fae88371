"""Find the rules that can match before running them.

Pure. Where the alternatives of a function begin by comparing one path below its parameters with
constants, a table from constant to alternatives makes their number irrelevant. OPA does the same
for its syntax trees (v1/ast/index.go).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from msgspec import Struct, field

from policy_agent.errors import PolicyError
from policy_agent.model import UNDEFINED
from policy_agent.rego import plan
from policy_agent.rego.codegen.usage import reads, statements, writes
from policy_agent.rego.plan import Block, Local, Operand, Stmt
from policy_agent.rego.runtime.operations import dot
from policy_agent.rego.values import Frozen, Value, freeze

# Below this, running every alternative costs less than looking one up.
MIN_ALTERNATIVES: Final = 12


class Index(Struct, frozen=True):
    """A function's alternatives by the constant they want at one path.

    Attributes:
        head: the blocks that run first.
        tail: the blocks that run last.
        position: of the parameter that the path begins with.
        keys: the path below that parameter.
        table: constant -> numbers of alternatives that want it.
        others: numbers of alternatives that must always run.
    """

    func: plan.Func
    parts: _Parts
    position: int
    keys: tuple[str, ...]
    table: Mapping[Frozen, Sequence[int]]
    others: Sequence[int]

    @property
    def head(self) -> tuple[Block, ...]:
        """Return the blocks that run first."""
        return tuple(self.func.blocks[: self.parts.start])

    @property
    def tail(self) -> tuple[Block, ...]:
        """Return the blocks that run last."""
        return tuple(self.func.blocks[self.parts.end :])

    def __len__(self) -> int:
        """Return how many alternatives there are."""
        return len(self.parts.alternatives)

    def alternative(self, number: int) -> tuple[Block, ...]:
        """Return the blocks of an alternative."""
        blocks = self.parts.alternatives[number]
        return tuple(self.func.blocks[blocks.start : blocks.stop])

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

    Only what the alternatives begin with is looked at: whether one `is_alone` is to be asked when
    it is needed.

    Args:
        strings: the plan's string constants.
        numbers: string index -> value, of the plan's number constants.
    """
    if len(func.blocks) < MIN_ALTERNATIVES:
        return None
    openings = _openings(func)
    parts = _parts(openings, func.result)
    if len(parts.alternatives) < MIN_ALTERNATIVES:
        return None
    alternatives = [openings[blocks.start] for blocks in parts.alternatives]
    start: dict[Local, _Chain] = {local: local for local in func.params}
    # What comes first mostly tells alternatives apart; looking further takes twice the time.
    tables = _Tables(alternatives, start, strings, numbers, comparisons=1)
    best, cost = tables.best()
    if cost > MIN_ALTERNATIVES:
        tables = _Tables(alternatives, start, strings, numbers)
        best, cost = tables.best()
    if best is None:
        return None
    table = tables.found[best]
    local, keys = tables.keys(best)
    indexed = {number for numbers in table.values() for number in numbers}
    others = [number for number in range(len(alternatives)) if number not in indexed]
    index = Index(func, parts, func.params.index(local), keys, table, others)
    return index if is_alone(func, index.head) and _reads_own(func, index.tail) else None


def _openings(func: plan.Func) -> list[Sequence[Stmt]]:
    if isinstance(func.blocks, plan.LateBlocks):
        return func.blocks.openings()
    return [block.stmts for block in func.blocks]


class _Parts(Struct, frozen=True):
    """Where the blocks of a function are its beginning, its alternatives and its end.

    Attributes:
        start: of the first alternative.
        alternatives: the blocks of each.
        end: of the last alternative.
    """

    start: int
    alternatives: Sequence[range]
    end: int


def split(
    func: plan.Func,
) -> tuple[tuple[Block, ...], tuple[tuple[Block, ...], ...], tuple[Block, ...]]:
    """Return the blocks that run first, each alternative's, and those that run last."""
    blocks = tuple(func.blocks)
    parts = _parts([block.stmts for block in blocks], func.result)
    alternatives = tuple(blocks[each.start : each.stop] for each in parts.alternatives)
    return blocks[: parts.start], alternatives, blocks[parts.end :]


def _parts(openings: Sequence[Sequence[Stmt]], result: Local) -> _Parts:
    begins = bool(openings) and _is_first(openings[0])
    end = len(openings)
    while end > begins and _is_last(openings[end - 1], result):
        end -= 1
    starts = [
        position
        for position in range(begins, end)
        if position == begins or not _hands_over(openings[position], result)
    ]
    return _Parts(int(begins), list(map(range, starts, [*starts[1:], end])), end)


def _is_first(stmts: Sequence[Stmt]) -> bool:
    return len(stmts) == 1 and isinstance(stmts[0], (plan.MakeSetStmt, plan.MakeObjectStmt))


def _is_last(stmts: Sequence[Stmt], result: Local) -> bool:
    first = stmts[0] if stmts else None
    if isinstance(first, plan.IsUndefinedStmt):
        return first.source == result
    return isinstance(first, plan.ReturnLocalStmt)


def hands_over(block: Block, result: Local) -> bool:
    """Return whether a block only passes on the value of the one before it."""
    return _hands_over(block.stmts, result)


def _hands_over(stmts: Sequence[Stmt], result: Local) -> bool:
    return (
        len(stmts) == 2
        and isinstance(stmts[0], plan.IsDefinedStmt)
        and isinstance(stmts[1], plan.AssignVarOnceStmt)
        and stmts[1].target == result
    )


def is_alone(func: plan.Func, blocks: Sequence[Block]) -> bool:
    """Return whether blocks share nothing with others but the parameters and the result."""
    returns = any(isinstance(stmt, plan.ReturnLocalStmt) for stmt in statements(blocks))
    return not returns and _reads_own(func, blocks)


def _reads_own(func: plan.Func, blocks: Sequence[Block]) -> bool:
    read: set[Local] = set()
    written: set[Local] = {*func.params, func.result}
    for stmt in statements(blocks):
        read.update(reads(stmt))
        written.update(writes(stmt))
    return read <= written


# A path as the chain of look-ups that leads to it: a parameter, or a path and a string's index.
_Chain: TypeAlias = "Local | tuple[_Chain, int]"
_NONE: Final[Mapping[Local, Value]] = {}


class _Tables(Struct, frozen=True):
    """For each path that alternatives compare: constant -> numbers of those that want it.

    Attributes:
        alternatives: the statements that each begins with.
        start: the paths that hold at the start of an alternative.
        comparisons: how many are looked at in each.
    """

    alternatives: Sequence[Sequence[Stmt]]
    start: dict[Local, _Chain]
    strings: Sequence[str]
    numbers: Mapping[int, Value]
    comparisons: int = 2**31
    found: dict[_Chain, dict[Frozen, list[int]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number, opening in enumerate(self.alternatives):
            self._add(number, opening)

    def _add(self, number: int, opening: Sequence[Stmt]) -> None:
        """Follow the statements at the start of an alternative that change nothing."""
        left = self.comparisons
        paths, constants = self.start.copy(), _NONE
        for stmt in opening:
            if isinstance(stmt, plan.DotStmt):
                path = self._below(stmt, paths)
                if path is None:
                    paths.pop(stmt.target, None)
                else:
                    paths[stmt.target] = path
                if constants:
                    constants = _without(stmt.target, constants)
            elif isinstance(stmt, plan.EqualStmt):
                self._compare(number, stmt, paths, constants)
                left -= 1
                if not left:
                    break
            elif isinstance(stmt, (plan.MakeNumberIntStmt, plan.MakeNumberRefStmt)):
                paths.pop(stmt.target, None)
                constants = {**constants, stmt.target: self._number(stmt)}
            elif not isinstance(stmt, (plan.NopStmt, plan.ResetLocalStmt)):
                break

    def _below(self, stmt: plan.DotStmt, paths: Mapping[Local, _Chain]) -> _Chain | None:
        above, key = _path(stmt.source, paths), stmt.key
        if above is None or not isinstance(key, plan.StringOperand):
            return None
        return (above, key.value) if key.value < len(self.strings) else None

    def _compare(
        self,
        number: int,
        stmt: plan.EqualStmt,
        paths: Mapping[Local, _Chain],
        constants: Mapping[Local, Value],
    ) -> None:
        path, other = _path(stmt.a, paths), stmt.b
        if path is None:
            path, other = _path(stmt.b, paths), stmt.a
            if path is None:
                return
        constant = self._constant(other, constants)
        if constant is UNDEFINED:
            return
        table = self.found.get(path)
        if table is None:
            table = self.found[path] = {}
        wanting = table.get(constant)
        if wanting is None:
            table[constant] = [number]
        elif wanting[-1] != number:
            wanting.append(number)

    def _constant(self, operand: Operand, constants: Mapping[Local, Value]) -> Frozen:
        if isinstance(operand, plan.StringOperand):
            index = operand.value
            return self.strings[index] if index < len(self.strings) else UNDEFINED
        if isinstance(operand, plan.BoolOperand):
            return freeze(operand.value)
        return constants.get(operand.value, UNDEFINED)

    def _number(self, stmt: plan.MakeNumberIntStmt | plan.MakeNumberRefStmt) -> Value:
        if isinstance(stmt, plan.MakeNumberIntStmt):
            return stmt.value
        try:
            return self.numbers[stmt.index]
        except (IndexError, PolicyError):
            # Of a function that has not been judged yet.
            return UNDEFINED

    def best(self) -> tuple[_Chain | None, float]:
        """Return the path where a value leaves the fewest alternatives to run, and how many."""
        best, least = None, math.inf
        for path, table in self.found.items():
            count = sum(map(len, table.values()))
            cost = len(self.alternatives) - count + count / len(table)
            if count >= MIN_ALTERNATIVES and cost < least:
                best, least = path, cost
        return best, least

    def keys(self, path: _Chain) -> tuple[Local, tuple[str, ...]]:
        """Return the parameter that a path begins with, and the keys below it."""
        keys: list[str] = []
        while isinstance(path, tuple):
            path, index = path
            keys.append(self.strings[index])
        return path, tuple(reversed(keys))


def _path(operand: Operand, paths: Mapping[Local, _Chain]) -> _Chain | None:
    return paths.get(operand.value) if isinstance(operand, plan.LocalOperand) else None


def _without(local: Local, constants: Mapping[Local, Value]) -> Mapping[Local, Value]:
    return {key: value for key, value in constants.items() if key != local}
