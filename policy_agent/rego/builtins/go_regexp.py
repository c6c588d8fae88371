"""Regular expressions as Go's regexp package matches them, by RE2 itself.

Pure. Texts are bytes here, as offsets are bytes in both libraries. `google-re2` is imported with
this module, which happens only when a policy uses it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import re2  # type: ignore[import-untyped]

from policy_agent.rego.builtins.go_text import to_bytes
from policy_agent.rego.builtins.registry import BuiltinError

Span = tuple[int, int]

_CACHED_PATTERNS: Final = 1000
_UNANCHORED: Final = re2._re2.RE2.Anchor.UNANCHORED
_NO_SPAN: Final = (-1, -1)
# RE2 has `\C` for any byte, Go has not.
_ESCAPE: Final = re.compile(r"\\Q.*?(?:\\E|$)|\\(.)", re.DOTALL)
_REFERENCE: Final = re.compile(rb"\$(?:\$|\{(\w+)\}|(\w+))", re.ASCII)
_GO_WORDS: Final = {
    "missing ]": "missing closing ]",
    "missing )": "missing closing )",
    "trailing \\": "trailing backslash at end of expression",
    "no argument for repetition operator": "missing argument to repetition operator",
    "invalid repetition size": "invalid repeat count",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid named capture group": "invalid named capture",
}


class Pattern:
    """A compiled pattern.

    Attributes:
        names: group name -> number.
    """

    __slots__ = ("_match", "names")

    def __init__(self, compiled: Any) -> None:
        self._match = compiled.Match
        self.names: dict[bytes, int] = dict(compiled.NamedCapturingGroups())

    def search(self, text: bytes) -> bool:
        """Return whether the pattern matches somewhere in a text."""
        return bool(self._match(_UNANCHORED, text, 0, len(text))[0] != _NO_SPAN)

    def find_all(self, text: bytes, limit: int = -1) -> Iterator[list[Span]]:
        """Yield each match from left to right: its own span, then its groups'.

        An empty match right after another match is none.
        """
        at, previous_end = 0, -1
        while limit and at <= len(text):
            spans = self._match(_UNANCHORED, text, at, len(text))
            start, end = spans[0]
            if start < 0:
                return
            if end > start or start != previous_end:
                yield spans
                limit -= 1
            previous_end = end
            at = end if end > at and end > start else _next_character(text, end)


def _next_character(text: bytes, at: int) -> int:
    at += 1
    while at < len(text) and text[at] & 0xC0 == 0x80:
        at += 1
    return at


@lru_cache(_CACHED_PATTERNS)
def compile_pattern(text: str) -> Pattern:
    """Return a compiled pattern; the last ones are kept.

    Raises:
        BuiltinError: it is not a pattern; in the words of Go.
    """
    if any(found[1] == "C" for found in _ESCAPE.finditer(text)):
        raise BuiltinError("error parsing regexp: invalid escape sequence: `\\C`")
    options = re2.Options()
    options.log_errors = False
    compiled = re2._re2.RE2(to_bytes(text), options)
    if not compiled.ok():
        reason, _, part = compiled.error().decode("utf-8", "replace").partition(": ")
        raise BuiltinError(f"error parsing regexp: {_GO_WORDS.get(reason, reason)}: `{part}`")
    return Pattern(compiled)


def expand(template: bytes, text: bytes, spans: list[Span], names: dict[bytes, int]) -> bytes:
    """Return a replacement with its `$1` and `${name}` filled in; unknown groups are empty."""

    def group(found: re.Match[bytes]) -> bytes:
        name = found[1] or found[2]
        if name is None:
            return b"$"
        number = int(name) if name.isdigit() else names.get(name, -1)
        start, end = spans[number] if 0 <= number < len(spans) else _NO_SPAN
        return text[start:end] if start >= 0 else b""

    return _REFERENCE.sub(group, template) if b"$" in template else template
