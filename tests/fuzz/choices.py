"""Random bytes as decisions: what a fuzzer changes in a policy or a plan."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeVar

T = TypeVar("T")

_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|`[^`]*`|#[^\n]*|\w+|\s+|[:=!<>]=|[^\w\s]')
_MAX_EDITS = 5


class Choices:
    """Decisions read from bytes; when they run out, every choice is the first."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0

    def number(self, limit: int) -> int:
        """Return a number from 0 up to, but without, `limit`."""
        taken = self._raw[self._at : self._at + 2]
        self._at += 2
        return int.from_bytes(taken, "big") % limit if taken else 0

    def pick(self, items: Sequence[T]) -> T:
        """Return one of some items."""
        return items[self.number(len(items))]


def edited_text(choices: Choices, texts: Sequence[str]) -> str:
    """Return a policy with some tokens left out, repeated, moved, or taken from another one."""
    tokens = _TOKEN.findall(choices.pick(texts))
    others = _TOKEN.findall(choices.pick(texts))
    for _ in range(1 + choices.number(_MAX_EDITS)):
        at = choices.number(len(tokens) + 1)
        size = 1 + choices.number(6)
        found = choices.number(len(others) + 1)
        match choices.number(4):
            case 0:
                del tokens[at : at + size]
            case 1:
                tokens[at:at] = tokens[found : found + size]
            case 2:
                tokens[at : at + size] = others[found : found + size]
            case _:
                tokens[at:at] = others[found : found + 4 * size]
    return "".join(tokens)


def edited_document(choices: Choices, document: Any, odd: Sequence[Any]) -> Any:
    """Return a copy of a JSON document with some of its values replaced, in place.

    Args:
        odd: values to put in; the others come from the document.
    """
    for _ in range(1 + choices.number(_MAX_EDITS)):
        holder, key = _place(choices, document)
        if holder is None:
            return document
        match choices.number(5):
            case 0:
                holder[key] = _copy(choices.pick(odd))
            case 1:
                other, name = _place(choices, document)
                holder[key] = _copy(other[name])
            case 2 if isinstance(holder, list):
                del holder[key]
            case 3 if isinstance(holder, list):
                holder.insert(key, _copy(choices.pick(holder)))
            case _ if type(holder[key]) is int:
                holder[key] = choices.number(12)
            case _:
                holder[key] = _copy(choices.pick(odd))
    return document


def _place(choices: Choices, document: Any) -> tuple[Any, Any]:
    """Return a random value's holder and its key there."""
    holder, key = None, None
    while document and isinstance(document, dict | list):
        holder = document
        key = choices.pick(list(document) if isinstance(document, dict) else range(len(document)))
        document = document[key]
        # Most of a plan lies deep; statements as a whole are worth changing, too.
        if choices.number(6) == 0:
            break
    return holder, key


def _copy(document: Any) -> Any:
    if isinstance(document, dict):
        return {key: _copy(value) for key, value in document.items()}
    return list(map(_copy, document)) if isinstance(document, list) else document
