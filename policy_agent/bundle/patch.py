"""Patch operations on base documents (OPA v1.22 v1/bundle/store.go, v1/storage/inmem/txn.go).

Pure: what is on the way to a change is copied once, however many changes follow, and all else is
shared with the original, which decisions in flight still read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from msgspec import Struct

from policy_agent.errors import BundleDeltaError
from policy_agent.late_json import opened
from policy_agent.model import JsonObject

_MISSING: Final = object()


class Operation(Struct, frozen=True):
    """One change.

    Attributes:
        op: `upsert` sets a value and makes the objects above it; in an array it inserts. `replace`
            and `remove` need something to be there.
        path: the keys down to the document, at least one, array indices as text.
    """

    op: str
    path: tuple[str, ...]
    value: Any = None


def patched(data: JsonObject, operations: Iterable[Operation]) -> JsonObject:
    """Return `data` as the operations make it, one after the other.

    Raises:
        BundleDeltaError: one of them needs a document that is not there.
    """
    draft = _Draft(data)
    for operation in operations:
        draft.apply(operation)
    return draft.root


class _Draft:
    """A tree whose changed objects and arrays are copies of our own."""

    def __init__(self, data: JsonObject) -> None:
        self._own: dict[int, Any] = {}  # by id, which cannot be another's while it is held here
        self.root: JsonObject = self._adopted(dict(data))

    def apply(self, operation: Operation) -> None:
        *above, last = operation.path
        container: Any = self.root
        for key in above:
            container = self._inside(container, key, operation)
        place = _place(container, last)
        if place is _MISSING and operation.op != "upsert":
            raise _missing(operation)
        if operation.op == "remove":
            del container[place]
        elif operation.op == "replace" or isinstance(container, dict):
            container[last if isinstance(container, dict) else place] = operation.value
        else:
            _insert(container, last, operation)

    def _inside(self, container: Any, key: str, operation: Operation) -> Any:
        """Return what the path leads through, as a copy of our own."""
        place = _place(container, key)
        if place is _MISSING:
            if operation.op != "upsert" or not isinstance(container, dict):
                raise _missing(operation)
            container[key] = self._adopted({})
            return container[key]
        child = opened(container[place])
        if not isinstance(child, dict | list):
            raise _missing(operation)
        if id(child) not in self._own:
            child = container[place] = self._adopted(child.copy())
        return child

    def _adopted(self, container: Any) -> Any:
        self._own[id(container)] = container
        return container


def _place(container: Any, key: str) -> Any:
    """Return the key or index of what is there."""
    if isinstance(container, dict):
        return key if key in container else _MISSING
    # Longer than any index there can be, a number is not even read.
    is_index = key.isascii() and key.isdigit() and len(key) <= len(str(len(container)))
    return int(key) if is_index and int(key) < len(container) else _MISSING


def _insert(items: list[Any], key: str, operation: Operation) -> None:
    place = len(items) if key in ("-", str(len(items))) else _place(items, key)
    if place is _MISSING:
        raise _missing(operation)
    items.insert(place, operation.value)


def _missing(operation: Operation) -> BundleDeltaError:
    return BundleDeltaError(
        f"patch.json: {operation.op} /{'/'.join(operation.path)}: "
        "the active bundle has no such document"
    )
