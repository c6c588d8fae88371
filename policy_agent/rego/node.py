"""What the classes of the syntax tree and of the plan have in common.

Pure. They are msgspec structs rather than dataclasses because an agent pays for their making at
every cold start (a struct takes a thirtieth of the time), and for every node of every policy.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, ClassVar

from msgspec import Struct


class Node(Struct, frozen=True, eq=False, gc=False):
    """An immutable value; nodes only point down, so that the garbage collector can pass them by.

    Attributes:
        uncompared: the fields that take no part in equality.
    """

    uncompared: ClassVar[frozenset[str]] = frozenset({"location"})

    def __eq__(self, other: object) -> bool:
        kind = type(self)
        if kind is not type(other):
            return NotImplemented
        return self is other or bool((get := _compared(kind))(self) == get(other))

    def __ne__(self, other: object) -> bool:
        # Struct has its own, which compares every field.
        return not self == other

    def __hash__(self) -> int:
        return hash(_compared(type(self))(self))


_getters: dict[type[Node], Callable[[Any], Any]] = {}


def _compared(kind: type[Node]) -> Callable[[Any], Any]:
    """Return what reads a node's fields that take part in equality."""
    getter = _getters.get(kind)
    if getter is None:
        names = [name for name in kind.__struct_fields__ if name not in kind.uncompared]
        getter = _getters[kind] = attrgetter(*names) if names else _nothing
    return getter


def _nothing(_: Node) -> tuple[()]:
    return ()
