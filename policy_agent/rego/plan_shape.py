"""The shape of OPA's `plan.json`, for judging a whole plan faster than it can be read.

Pure. A plan of thousands of rules is judged when its bundle is activated, but each function is only
read when it is first called. What the shape cannot say is judged then.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeAlias, Union, get_args

import msgspec
from msgspec import Raw, Struct

from policy_agent.rego import plan


class BlockShape(Struct, gc=False):
    """A block, whose statements are whole where they hold neither blocks nor lists."""

    stmts: list[_AnyStatement] | None


class _Value(Struct, gc=False):
    value: str


class FuncOutline(Struct, gc=False):
    """A function whose blocks are not read yet."""

    name: str
    params: list[plan.Local]
    result: plan.Local = msgspec.field(name="return")
    blocks: Raw
    path: list[str] | None = None


class PlanOutline(Struct, gc=False):
    """An entry point whose blocks are not read yet."""

    name: str
    blocks: Raw


class _Funcs(Struct, gc=False):
    funcs: list[FuncOutline] | None = None


class _Plans(Struct, gc=False):
    plans: list[PlanOutline] | None = None


class Outline(Struct, gc=False):
    """A plan as far as it is read at once."""

    static: Raw
    funcs: _Funcs
    plans: _Plans


class _NumberRef(plan.MakeNumberRefStmt, frozen=True, rename={"index": "Index"}):
    """The one statement that OPA writes with a capital letter."""


ManyBlocks: TypeAlias = dict[int, tuple[list[Raw], list[BlockShape]]]

# Fewer are as well read all at once.
MANY_BLOCKS: Final = 100

_SIMPLE: Final = frozenset({"Local", "Operand", "int", "str"})
_TYPES: Final[dict[str, Any]] = {
    "Local": plan.Local,
    "Operand": plan.Operand,
    "Block": BlockShape,
    "int": int,
    "str": str,
    "tuple[Block, ...]": list[BlockShape] | None,
    "tuple[Local, ...]": list[plan.Local] | None,
    "tuple[Operand, ...]": list[plan.Operand] | None,
    "tuple[int, ...]": list[plan.Local] | None,
}


def _statement(kind: type[Any]) -> type[Struct]:
    body = kind
    annotations = {name: kind.__annotations__[name] for name in kind.__struct_fields__[:-1]}
    if kind is plan.MakeNumberRefStmt:
        body = _NumberRef
    elif not _SIMPLE.issuperset(annotations.values()):
        fields = [(name, _TYPES[annotation]) for name, annotation in annotations.items()]
        body = msgspec.defstruct(f"_{kind.__name__}Body", fields, gc=False)
    return msgspec.defstruct(f"_{kind.__name__}", [("stmt", body)], tag=kind.__name__, gc=False)


if TYPE_CHECKING:
    _AnyStatement = Any
else:
    _AnyStatement = Union[tuple(map(_statement, get_args(plan.Stmt)))]  # noqa: UP007

_stmt: Final = attrgetter("stmt")
_outline: Final = msgspec.json.Decoder(Outline)
_raws: Final = msgspec.json.Decoder(list[Raw])
_blocks: Final = msgspec.json.Decoder(list[BlockShape] | None)


def outline_of(raw: bytes) -> tuple[Outline, ManyBlocks] | None:
    """Return a plan's outline, None where it does not have the shape of a plan.

    Returns:
        the outline, and by the number of a function each of its blocks where they are many.
    """
    many: ManyBlocks = {}
    try:
        outline = _outline.decode(raw)
        for number, func in enumerate(outline.funcs.funcs or ()):
            shapes = _blocks.decode(func.blocks)
            if shapes is not None and len(shapes) >= MANY_BLOCKS:
                many[number] = _raws.decode(func.blocks), shapes
        for entry in outline.plans.plans or ():
            _blocks.decode(entry.blocks)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return outline, many


def opening_of(shape: BlockShape) -> Sequence[plan.Stmt]:
    """Return the statements of a block; those that hold blocks or lists are their shapes."""
    return tuple(map(_stmt, shape.stmts or ()))
