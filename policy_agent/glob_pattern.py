"""Glob patterns as github.com/gobwas/glob v1.0.0 reads them, turned into regular expressions.

Pure. `*` matches anything but delimiters, `**` anything, `?` one character that is no delimiter;
`[abc]`, `[a-z]`, `[!a]` are classes and `{a,b*}` alternatives. RE2 matches in linear time, whatever
the pattern.
"""

from __future__ import annotations

import re
from typing import Final

_QUOTED: Final = re.compile(r"[\\.+*?()|\[\]{}^$]")
_ANYTHING: Final = "(?s:.*)"
_BREAKS: Final = "?*[{"
_BREAKS_IN_LIST: Final = "?*[{},"


class GlobError(ValueError):
    """A glob is malformed; in the words of that library."""


def quote_meta(text: str) -> str:
    """Return a text as a regular expression that matches only itself."""
    return _QUOTED.sub(r"\\\g<0>", text)


def translate(pattern: str, delimiters: str) -> str:
    """Return the regular expression for a glob.

    Raises:
        GlobError: the pattern is malformed.
    """
    return _Translator(pattern, delimiters).run()


def _class(characters: str, *, negated: bool) -> str:
    inside = "".join(f"\\x{{{ord(char):x}}}" for char in characters)
    return f"[{'^' if negated else ''}{inside}]"


class _Translator:
    """One pass over a pattern."""

    def __init__(self, pattern: str, delimiters: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.depth = 0
        self.one = _class(delimiters, negated=True) if delimiters else "(?s:.)"

    def run(self) -> str:
        """Return the whole expression."""
        parts = ["^(?:"]
        while self.at < len(self.pattern):
            parts.append(self._item())
        if self.depth:
            raise self._error("unclosed `{`")
        return "".join([*parts, ")$"])

    def _error(self, reason: str) -> GlobError:
        offset = len(self.pattern[: self.at].encode("utf-8", "surrogateescape"))
        return GlobError(f"glob: syntax error at {offset}: {reason}")

    def _item(self) -> str:
        char = self.pattern[self.at]
        if char not in _BREAKS and not (self.depth and char in _BREAKS_IN_LIST):
            return quote_meta(self._text(_BREAKS_IN_LIST if self.depth else _BREAKS))
        self.at += 1
        match char:
            case "*":
                return self._star()
            case "?":
                return self.one
            case "[":
                return self._bracket()
            case "{":
                self.depth += 1
                return "(?:"
            case "}":
                self.depth -= 1
                return ")"
        return "|"

    def _star(self) -> str:
        if not self.pattern.startswith("*", self.at):
            return f"{self.one}*"
        self.at += 1
        return _ANYTHING

    def _text(self, breaks: str) -> str:
        """Return the literal text up to one of some characters, without its escapes."""
        found: list[str] = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in breaks:
            if self.pattern[self.at] == "\\":
                self.at += 1
                if self.at == len(self.pattern):
                    raise self._error("trailing backslash")
            found.append(self.pattern[self.at])
            self.at += 1
        return "".join(found)

    def _read(self) -> str:
        if self.at == len(self.pattern):
            raise self._error("unexpected end of input")
        self.at += 1
        return self.pattern[self.at - 1]

    def _close(self) -> None:
        if self._read() != "]":
            raise self._error("expected close range character")

    def _bracket(self) -> str:
        negated = self.pattern.startswith("!", self.at)
        self.at += negated
        if self.pattern.startswith("-", self.at + 1):
            low = self._read()
            self.at += 1
            high = self._read()
            self._close()
            if high < low:
                raise self._error("range hi character is less than lo")
            sign = "^" if negated else ""
            return f"[{sign}\\x{{{ord(low):x}}}-\\x{{{ord(high):x}}}]"
        if self.at == len(self.pattern):
            raise self._error("unexpected end of input")
        characters = self._text("]")
        self._close()
        if not characters:
            raise self._error("could not parse range")
        return _class(characters, negated=negated)
