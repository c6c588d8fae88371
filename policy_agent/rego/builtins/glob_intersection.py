"""Whether two globs of characters, `.` and `[sets]`, each maybe with `+` or `*`, have a match.

Pure. Decides as github.com/yashtewari/glob-intersection v0.2.0 does, which OPA uses and which is an
approximation: each step looks only at the next element of either glob.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from policy_agent.rego.builtins.registry import BuiltinError


class _Element(NamedTuple):
    """One element: `characters` is None for any, `flag` is "", "+" or "*"."""

    kind: str
    characters: frozenset[str] | None
    flag: str


_Glob = tuple[_Element, ...]


class _Reader:
    """A cursor over a glob's text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def next(self) -> tuple[str, bool]:
        """Return the next character, "" at the end, and whether it was escaped."""
        char = self.text[self.at : self.at + 1]
        if char != "\\":
            self.at += len(char)
            return char, False
        if self.at + 1 >= len(self.text):
            raise self.error("input ends with a \\ (escape) character")
        self.at += 2
        return self.text[self.at - 1], True

    def error(self, problem: str) -> BuiltinError:
        """Return the error for what was read last."""
        where = f"input:{self.text}, pos:{self.at}"
        return BuiltinError(f"{where}, {problem}: the input provided is invalid")

    def flag(self) -> str:
        """Return the flag that follows, "" for none."""
        char = self.text[self.at : self.at + 1]
        if char not in ("+", "*"):
            return ""
        self.at += 1
        return char


def _parse(text: str) -> _Glob:
    reader = _Reader(text)
    elements: list[_Element] = []
    while True:
        char, escaped = reader.next()
        if not char:
            return tuple(elements)
        kind = "character"
        characters: frozenset[str] | None = frozenset(char)
        if not escaped:
            if char == "]":
                raise reader.error("set-close ']' with no preceding '['")
            if char in "+*":
                raise reader.error(f"flag '{char}' must be preceded by a non-flag")
            if char == "[":
                kind, characters = "set", _parse_set(reader)
            elif char == ".":
                kind, characters = "dot", None
        element = _Element(kind, characters, reader.flag())
        last = elements[-1] if elements else element
        if elements and element.flag and last.flag and last[:2] == element[:2]:
            strictest = "+" if "+" in (element.flag, last.flag) else "*"
            elements[-1] = element._replace(flag=strictest)
        else:
            elements.append(element)


def _parse_set(reader: _Reader) -> frozenset[str]:
    found: set[str] = set()
    previous = ""
    while True:
        char, escaped = reader.next()
        if not char:
            raise reader.error("found [ without matching ]")
        if escaped or char not in "]-":
            found.add(char)
            previous = char
        elif char == "]":
            return frozenset(found)
        else:
            found.update(_parse_range(reader, previous))
            previous = ""


def _parse_range(reader: _Reader, low: str) -> set[str]:
    if not low:
        raise reader.error("range character '-' must be preceded by a Unicode character")
    if reader.at >= len(reader.text) - 1:
        raise reader.error("range character '-' must be followed by a Unicode character")
    high, escaped = reader.next()
    if not escaped and high in "]-":
        raise reader.error("range character '-' cannot be followed by a special symbol")
    if high < low:
        raise reader.error(f"range is out of order: '{high}' comes before '{low}' in Unicode")
    return set(map(chr, range(ord(low), ord(high) + 1)))


def _meet(left: _Element, right: _Element) -> bool:
    if left.characters is None or right.characters is None:
        return True
    return not left.characters.isdisjoint(right.characters)


class _Search:
    """One comparison of two globs; remembers what it has found out."""

    def __init__(self) -> None:
        self.normal = lru_cache(None)(self._normal)

    def _normal(self, left: _Glob, right: _Glob) -> bool:
        for at, (one, two) in enumerate(zip(left, right, strict=False)):
            if one.flag:
                return self._special(left[at:], right[at:])
            if two.flag:
                return self._special(right[at:], left[at:])
            if not _meet(one, two):
                return False
        return len(left) == len(right)

    def _special(self, flagged: _Glob, other: _Glob) -> bool:
        if flagged[0].flag == "*":
            return self._star(flagged, other)
        if not _meet(flagged[0], other[0]):
            return False
        if self._star(flagged, other[1:]):
            return True
        return bool(other[0].flag) and self.normal(flagged[1:], other)

    def _star(self, starred: _Glob, other: _Glob) -> bool:
        rest = starred[1:]
        for at, element in enumerate(other):
            if rest and _meet(element, rest[0]) and self.normal(rest, other[at:]):
                return True
            if not _meet(element, starred[0]):
                return False
        return not rest


def _trimmed(left: _Glob, right: _Glob) -> tuple[_Glob, _Glob] | None:
    """Return both without what plainly matches at their ends, None if something plainly differs."""
    shorter = min(len(left), len(right))
    begin = 0
    while begin < shorter and not left[begin].flag and not right[begin].flag:
        if not _meet(left[begin], right[begin]):
            return None
        begin += 1
    begin = max(begin - 1, 0)
    cut = 0
    while cut < shorter - begin and not left[-1 - cut].flag and not right[-1 - cut].flag:
        if not _meet(left[-1 - cut], right[-1 - cut]):
            return None
        cut += 1
    cut = max(cut - 1, 0)
    return left[begin : len(left) - cut], right[begin : len(right) - cut]


def intersect(left: str, right: str) -> bool:
    """Return whether two globs have a match in common.

    Raises:
        BuiltinError: one of them is malformed.
    """
    trimmed = _trimmed(_parse(left), _parse(right))
    return trimmed is not None and _Search().normal(*trimmed)
