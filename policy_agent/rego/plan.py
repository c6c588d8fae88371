"""The plan: OPA's documented intermediate representation, as typed values.

Pure. Classes carry the names of OPA's statement types and fields those of its JSON
(OPA v1.22 v1/ir/ir.go, docs/docs/ir.md). A plan is a list of functions over numbered locals: local
0 is `input`, local 1 is `data`; a local without a value is undefined, and a statement that is
undefined ends its block.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, TypeAlias, overload

from msgspec import Meta

from policy_agent.errors import Location as SourceLocation
from policy_agent.rego.node import Node

Index: TypeAlias = Annotated[int, Meta(ge=0, lt=2**31)]
Local: TypeAlias = Index

INPUT: Final[Local] = 0
DATA: Final[Local] = 1
UNUSED: Final[Local] = 2


class LocalOperand(Node, frozen=True, tag="local"):
    """The value of a local (`"type": "local"`)."""

    value: Local


class StringOperand(Node, frozen=True, tag="string_index"):
    """A string constant by its index in `Static.strings` (`"type": "string_index"`)."""

    value: Index


class BoolOperand(Node, frozen=True, tag="bool"):
    """A boolean constant (`"type": "bool"`)."""

    value: bool


Operand: TypeAlias = LocalOperand | StringOperand | BoolOperand


class Location(Node, frozen=True):
    """Where a statement comes from: `file` is an index in `Static.files`."""

    file: int = 0
    row: int = 0
    col: int = 0
    end_row: int = 0
    end_col: int = 0


NOWHERE: Final = Location()


class Block(Node, frozen=True):
    """Statements run in order until one is undefined or leaves the block."""

    stmts: tuple[Stmt, ...]


class ArrayAppendStmt(Node, frozen=True):
    """Append `value` to the array under construction in `array`."""

    value: Operand
    array: Local
    location: Location = NOWHERE


class AssignIntStmt(Node, frozen=True):
    """Set `target` to an integer."""

    value: int
    target: Local
    location: Location = NOWHERE


class AssignVarOnceStmt(Node, frozen=True):
    """Set `target` to `source`; a different earlier value is a conflict."""

    source: Operand
    target: Local
    location: Location = NOWHERE


class AssignVarStmt(Node, frozen=True):
    """Set `target` to `source`."""

    source: Operand
    target: Local
    location: Location = NOWHERE


class BlockStmt(Node, frozen=True):
    """Run blocks one after the other, each whether or not the one before was undefined."""

    blocks: tuple[Block, ...]
    location: Location = NOWHERE


class BreakStmt(Node, frozen=True):
    """Leave the enclosing block `index` levels up; 0 is the block of the statement."""

    index: int
    location: Location = NOWHERE


class CallDynamicStmt(Node, frozen=True):
    """Call the function whose `Func.path` is `path`; undefined where there is none."""

    args: tuple[Local, ...]
    result: Local
    path: tuple[Operand, ...]
    location: Location = NOWHERE


class CallStmt(Node, frozen=True):
    """Call a function of the plan or a built-in by name; undefined where it gives no value."""

    func: str
    args: tuple[Operand, ...]
    result: Local
    location: Location = NOWHERE


class DotStmt(Node, frozen=True):
    """Set `target` to `source[key]`."""

    source: Operand
    key: Operand
    target: Local
    location: Location = NOWHERE


class EqualStmt(Node, frozen=True):
    """Go on only where `a` is the same value as `b`."""

    a: Operand
    b: Operand
    location: Location = NOWHERE


class IsArrayStmt(Node, frozen=True):
    """Go on only where `source` is an array."""

    source: Operand
    location: Location = NOWHERE


class IsDefinedStmt(Node, frozen=True):
    """Go on only where `source` has a value."""

    source: Local
    location: Location = NOWHERE


class IsObjectStmt(Node, frozen=True):
    """Go on only where `source` is an object."""

    source: Operand
    location: Location = NOWHERE


class IsSetStmt(Node, frozen=True):
    """Go on only where `source` is a set."""

    source: Operand
    location: Location = NOWHERE


class IsUndefinedStmt(Node, frozen=True):
    """Go on only where `source` has no value."""

    source: Local
    location: Location = NOWHERE


class LenStmt(Node, frozen=True):
    """Set `target` to the number of elements of `source`."""

    source: Operand
    target: Local
    location: Location = NOWHERE


class MakeArrayStmt(Node, frozen=True):
    """Set `target` to a new array."""

    capacity: int
    target: Local
    location: Location = NOWHERE


class MakeNullStmt(Node, frozen=True):
    """Set `target` to null."""

    target: Local
    location: Location = NOWHERE


class MakeNumberIntStmt(Node, frozen=True):
    """Set `target` to an integer of at most 64 bits."""

    value: int
    target: Local
    location: Location = NOWHERE


class MakeNumberRefStmt(Node, frozen=True):
    """Set `target` to the number whose text is string constant `index`."""

    index: Index
    target: Local
    location: Location = NOWHERE


class MakeObjectStmt(Node, frozen=True):
    """Set `target` to a new object."""

    target: Local
    location: Location = NOWHERE


class MakeSetStmt(Node, frozen=True):
    """Set `target` to a new set."""

    target: Local
    location: Location = NOWHERE


class NopStmt(Node, frozen=True):
    """Do nothing."""

    location: Location = NOWHERE


class NotEqualStmt(Node, frozen=True):
    """Go on only where `a` is another value than `b`."""

    a: Operand
    b: Operand
    location: Location = NOWHERE


class NotStmt(Node, frozen=True):
    """Go on only where `block` is undefined."""

    block: Block
    location: Location = NOWHERE


class ObjectInsertOnceStmt(Node, frozen=True):
    """Insert a key that must be new or hold the same value; otherwise a conflict."""

    key: Operand
    value: Operand
    object: Local
    location: Location = NOWHERE


class ObjectInsertStmt(Node, frozen=True):
    """Insert or replace a key of the object under construction in `object`."""

    key: Operand
    value: Operand
    object: Local
    location: Location = NOWHERE


class ObjectMergeStmt(Node, frozen=True):
    """Set `target` to `a` merged recursively over `b`."""

    a: Local
    b: Local
    target: Local
    location: Location = NOWHERE


class ResetLocalStmt(Node, frozen=True):
    """Make `target` undefined."""

    target: Local
    location: Location = NOWHERE


class ResultSetAddStmt(Node, frozen=True):
    """Add `value` to the results of the plan."""

    value: Local
    location: Location = NOWHERE


class ReturnLocalStmt(Node, frozen=True):
    """Leave the function with the value of `source`."""

    source: Local
    location: Location = NOWHERE


class ScanStmt(Node, frozen=True):
    """Run `block` for every `key` and `value` of a collection, in Rego's order."""

    source: Local
    key: Local
    value: Local
    block: Block
    location: Location = NOWHERE


class SetAddStmt(Node, frozen=True):
    """Add `value` to the set under construction in `set`."""

    value: Operand
    set: Local
    location: Location = NOWHERE


class WithStmt(Node, frozen=True):
    """Run `block` with `value` at `path` of `local` (indexes of string constants)."""

    local: Local
    path: tuple[int, ...]
    value: Operand
    block: Block
    location: Location = NOWHERE


Stmt: TypeAlias = (
    ArrayAppendStmt
    | AssignIntStmt
    | AssignVarOnceStmt
    | AssignVarStmt
    | BlockStmt
    | BreakStmt
    | CallDynamicStmt
    | CallStmt
    | DotStmt
    | EqualStmt
    | IsArrayStmt
    | IsDefinedStmt
    | IsObjectStmt
    | IsSetStmt
    | IsUndefinedStmt
    | LenStmt
    | MakeArrayStmt
    | MakeNullStmt
    | MakeNumberIntStmt
    | MakeNumberRefStmt
    | MakeObjectStmt
    | MakeSetStmt
    | NopStmt
    | NotEqualStmt
    | NotStmt
    | ObjectInsertOnceStmt
    | ObjectInsertStmt
    | ObjectMergeStmt
    | ResetLocalStmt
    | ResultSetAddStmt
    | ReturnLocalStmt
    | ScanStmt
    | SetAddStmt
    | WithStmt
)


class LateBlocks(Sequence[Block]):
    """Blocks that are read when they are looked at."""

    @overload
    def __getitem__(self, key: int) -> Block: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[Block, ...]: ...
    def __getitem__(self, key: int | slice) -> Block | tuple[Block, ...]:
        """Return one block, or some."""
        if isinstance(key, slice):
            return self.read(key)
        return self.read(slice(key, key + 1 or None))[0]

    @abstractmethod
    def read(self, wanted: slice) -> tuple[Block, ...]:
        """Return some blocks.

        Raises:
            PolicyError: they cannot be run.
        """

    @abstractmethod
    def openings(self) -> list[Sequence[Stmt]]:
        """Return the statements of each block without their places.

        Instead of those that hold blocks or lists there is something else. Nothing about them has
        been judged but their types.
        """


class BuiltinFunc(Node, frozen=True):
    """A built-in that the plan calls; `decl` is its type as OPA's JSON."""

    name: str
    decl: Mapping[str, Any] = {}


class Static(Node, frozen=True):
    """The constants of a plan."""

    strings: tuple[str, ...] = ()
    builtin_funcs: tuple[BuiltinFunc, ...] = ()
    files: tuple[str, ...] = ()


class Func(Node, frozen=True):
    """A function: a rule (parameters `input` and `data` only) or one of the policy's functions.

    Attributes:
        name: such as `g0.data.app.allow`.
        params: the locals that receive the arguments; the first two are `input` and `data`.
        result: the local whose value it returns (`return` in OPA's JSON).
        path: where dynamic calls find it: ("g0", "app", "allow"); () where they do not.
    """

    name: str
    params: tuple[Local, ...]
    result: Local
    blocks: Sequence[Block]
    path: tuple[str, ...] = ()


class Plan(Node, frozen=True):
    """One entry point: its blocks add values to the result set."""

    name: str
    blocks: Sequence[Block]


class UnplannedRule(Node, frozen=True):
    """A rule that no entry point reaches; kept for coverage reports."""

    path: str
    location: Location = NOWHERE


class Policy(Node, frozen=True):
    """A whole `plan.json`."""

    static: Static = Static()
    plans: tuple[Plan, ...] = ()
    funcs: tuple[Func, ...] = ()
    unplanned_rules: tuple[UnplannedRule, ...] = ()

    @property
    def blocks(self) -> list[Block]:
        """Return the outermost blocks of all functions and entry points."""
        found = [block for func in self.funcs for block in func.blocks]
        return found + [block for entry in self.plans for block in entry.blocks]

    def source_location(self, location: Location) -> SourceLocation | None:
        """Return a statement's place as file, row and column; None where the plan has none."""
        files = self.static.files
        if location.row < 1 or not 0 <= location.file < len(files):
            return None
        return SourceLocation(files[location.file], location.row, location.col)
