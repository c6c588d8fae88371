"""The shape of OPA's `plan.json`, for judging a whole plan faster than it can be read.

Pure. A plan of thousands of rules is judged when its bundle is activated, but each function is only
read when it is first called. What the shape cannot say is judged then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Union, get_args

import msgspec
from msgspec import Raw, Struct

from policy_agent.rego import plan

_Local = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]


class _LocalOperand(Struct, tag="local", gc=False):
    value: _Local


class _StringOperand(Struct, tag="string_index", gc=False):
    value: _Local


class _BoolOperand(Struct, tag="bool", gc=False):
    value: bool


_Operand = _LocalOperand | _StringOperand | _BoolOperand


class _Block(Struct, gc=False):
    stmts: list[_AnyStatement] | None


class _Value(Struct, gc=False):
    value: str


class FuncOutline(Struct, gc=False):
    """A function whose blocks are not read yet."""

    name: str
    params: list[_Local]
    result: _Local = msgspec.field(name="return")
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


_TYPES: Final[dict[str, Any]] = {
    "Local": _Local,
    "Operand": _Operand,
    "Block": _Block,
    "int": int,
    "str": str,
    "tuple[Block, ...]": list[_Block] | None,
    "tuple[Local, ...]": list[_Local] | None,
    "tuple[Operand, ...]": list[_Operand] | None,
    "tuple[int, ...]": list[_Local] | None,
}


def _statement(kind: type[Any]) -> type[Struct]:
    fields = [
        (name, _TYPES[kind.__annotations__[name]])
        for name in kind.__struct_fields__
        if name != "location" and kind is not plan.MakeNumberRefStmt
    ]
    body = msgspec.defstruct(f"_{kind.__name__}Body", fields, gc=False)
    return msgspec.defstruct(f"_{kind.__name__}", [("stmt", body)], tag=kind.__name__, gc=False)


if TYPE_CHECKING:
    _AnyStatement = Any
else:
    _AnyStatement = Union[tuple(map(_statement, get_args(plan.Stmt)))]  # noqa: UP007

_outline: Final = msgspec.json.Decoder(Outline)
_blocks: Final = msgspec.json.Decoder(list[_Block] | None)


def outline_of(raw: bytes) -> Outline | None:
    """Return a plan's outline, None where it does not have the shape of a plan."""
    try:
        outline = _outline.decode(raw)
        for each in (*(outline.funcs.funcs or ()), *(outline.plans.plans or ())):
            _blocks.decode(each.blocks)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return outline
