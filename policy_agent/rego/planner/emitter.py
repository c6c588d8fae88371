"""Write statements of a plan: blocks, locals, constants and places.

Pure. Planning goes forward only: a statement that runs what follows it in a block of its own (a
scan) leaves that block open, and it is closed at the end of the body that it belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

from msgspec import Struct

from policy_agent.errors import Location, PolicyError, PolicyProblem
from policy_agent.rego import plan
from policy_agent.rego.planner.scopes import Variables

Wrap: TypeAlias = Callable[[plan.Block, plan.Location], plan.Stmt]
QUERY_FILE: Final = "<query>"
EMPTY: Final = plan.Block(())


class Written(Struct):
    """A block that was written apart.

    Attributes:
        block: its statements, once it is complete.
        branched: whether its end lies inside of a statement, such as a scan.
    """

    block: plan.Block = EMPTY
    branched: bool = False


class Constants:
    """The constants of a plan, each with its index."""

    def __init__(self) -> None:
        self._index: dict[str, int] = {}

    def index(self, value: str) -> int:
        """Return the index of a constant, added where it is new."""
        return self._index.setdefault(value, len(self._index))

    def all(self) -> tuple[str, ...]:
        """Return the constants by index."""
        return tuple(self._index)


class Emitter:
    """The part of the planner that writes."""

    def __init__(self) -> None:
        self.strings = Constants()
        self.files = Constants()
        self.variables = Variables({"input": plan.INPUT, "data": plan.DATA})
        self._statements: list[plan.Stmt] = []
        self._open: list[tuple[list[plan.Stmt], Wrap, plan.Location]] = []
        self._next_local = plan.UNUSED
        self._place = plan.NOWHERE

    def at(self, location: Location) -> None:
        """Set the place of the statements that follow."""
        index = self.files.index(location.file or QUERY_FILE)
        row, col = location.row, location.col
        self._place = plan.Location(index, row, col, row, col)

    def emit(self, kind: Callable[..., plan.Stmt], *fields: object) -> None:
        """Write a statement."""
        self._statements.append(kind(*fields, location=self._place))

    def local(self) -> plan.Local:
        """Return a new local."""
        self._next_local += 1
        return self._next_local - 1

    def string(self, value: str) -> plan.StringOperand:
        """Return a string constant."""
        return plan.StringOperand(self.strings.index(value))

    def open(self, wrap: Wrap) -> None:
        """Write what follows into a block; `wrap` makes the statement that holds it."""
        self._open.append((self._statements, wrap, self._place))
        self._statements = []

    def is_branched(self) -> bool:
        """Return whether the place of writing is inside of a statement of the current block."""
        return bool(self._open)

    def _close(self) -> None:
        block = plan.Block(tuple(self._statements))
        self._statements, wrap, place = self._open.pop()
        self._statements.append(wrap(block, place))

    @contextmanager
    def written(self) -> Iterator[Written]:
        """Write the statements of the `with` block into a block of its own."""
        outside = (self._statements, self._open, self._place)
        self._statements, self._open = [], []
        result = Written()
        yield result
        result.branched = bool(self._open)
        while self._open:
            self._close()
        result.block = plan.Block(tuple(self._statements))
        self._statements, self._open, self._place = outside

    def closed(self, write: Callable[[], None]) -> Written:
        """Return what `write` writes as a block, in a frame of variables of its own."""
        with self.written() as result, self.variables.frame():
            write()
        return result

    def block(self, *blocks: plan.Block) -> None:
        """Write blocks that run one after the other."""
        self.emit(plan.BlockStmt, blocks)

    def single(self, kind: Callable[..., plan.Stmt], *fields: object) -> plan.Block:
        """Return a block of one statement."""
        return plan.Block((kind(*fields, location=self._place),))

    def fail(self) -> None:
        """Make the current block undefined."""
        self.emit(plan.BreakStmt, 0)

    def undefined(self) -> plan.LocalOperand:
        """Make the current block undefined where a value is wanted."""
        local = self.local()
        self.emit(plan.ResetLocalStmt, local)
        self.emit(plan.IsDefinedStmt, local)
        return plan.LocalOperand(local)

    def copied(self, operand: plan.Operand) -> plan.Local:
        """Return the local that holds an operand."""
        if isinstance(operand, plan.LocalOperand):
            return operand.value
        target = self.local()
        self.emit(plan.AssignVarStmt, operand, target)
        return target

    def refuse(self, message: str, location: Location) -> PolicyError:
        """Return the error for what cannot be planned."""
        return PolicyError([PolicyProblem("rego_type_error", message, location)])
