"""Tokens of GraphQL, with positions and errors as OPA's GraphQL library words them.

Pure. Source: vektah/gqlparser v2.5 lexer; GraphQL October 2021 section 2.1.
"""

from __future__ import annotations

import json
import re
from typing import Final, NamedTuple

EOF: Final = "<EOF>"
NAME: Final = "Name"
INT: Final = "Int"
FLOAT: Final = "Float"
STRING: Final = "String"
BLOCK_STRING: Final = "BlockString"
INVALID: Final = "<Invalid>"

_SPACE: Final = re.compile("[\t ,\ufeff\r\n]+|#[^\x00-\x08\x0a-\x1f]*")
_NAME: Final = re.compile(r"[_A-Za-z][_0-9A-Za-z]*")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_LINE: Final = re.compile(r"\r\n|\r|\n")
_PUNCTUATORS: Final = frozenset("!$&():=@[]{}|")
_ESCAPE: Final = re.compile(r'\\(?:["/\\bfnrt]|u[0-9a-fA-F]{4})')
_REPLACEMENT: Final = 0xFFFD
_ESCAPES: Final = {
    '"': '"',
    "/": "/",
    "\\": "\\",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
}


class GraphQLError(ValueError):
    """A text is no GraphQL; the message is OPA's."""

    def __init__(self, message: str, line: int, column: int) -> None:
        text = f"{message.removesuffix('.')} in GraphQL string at location {line}:{column}"
        super().__init__(text)


class Token(NamedTuple):
    """One token; `kind` is the punctuator itself or a constant of this module."""

    kind: str
    value: str
    offset: int

    def __str__(self) -> str:
        if not self.value:
            return self.kind
        return f"{self.kind} {json.dumps(self.value, ensure_ascii=False)}"


class Lexer:
    """Reads one text token by token."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.comments: list[str] = []
        self._at = 0

    def place(self, offset: int) -> tuple[int, int]:
        """Return line and column of an offset, from 1."""
        starts = [match.end() for match in _LINE.finditer(self.text, 0, offset)]
        return len(starts) + 1, offset - (starts[-1] if starts else 0) + 1

    def error(self, message: str, offset: int) -> GraphQLError:
        """Return the error at an offset."""
        return GraphQLError(message, *self.place(offset))

    def next(self) -> Token:
        """Return the next token (INVALID where none begins) and note the comments before it."""
        text = self.text
        self.comments = []
        while (space := _SPACE.match(text, self._at)) is not None:
            if space.group().startswith("#"):
                self.comments.append(space.group())
            self._at = space.end()
        start = self._at
        if start >= len(text):
            return Token(EOF, "", start)
        char = text[start]
        if char in _PUNCTUATORS:
            self._at += 1
            return Token(char, "", start)
        if text.startswith("...", start):
            self._at += 3
            return Token("...", "", start)
        name = _NAME.match(text, start)
        if name is not None:
            self._at = name.end()
            return Token(NAME, name.group(), start)
        if char in "-0123456789":
            return self._number(start)
        if text.startswith('"""', start):
            return self._block_string(start)
        if char == '"':
            return self._string(start)
        return Token(INVALID, "", start)

    def _number(self, start: int) -> Token:
        text = self.text
        number = _NUMBER.match(text, start)
        if number is None:
            return Token(INVALID, "", start + 1)
        end = number.end()
        rest = text[end : end + 2]
        if number.group().lstrip("-") == "0" and rest[:1].isdigit():
            return Token(INVALID, "", end)
        if rest[:1] == "." and not number.group(1) and not number.group(2):
            return Token(INVALID, "", end + 1)
        if rest[:1] in ("e", "E") and not number.group(2):
            return Token(INVALID, "", end + (2 if rest[1:] in ("+", "-") else 1))
        self._at = end
        kind = FLOAT if number.group(1) or number.group(2) else INT
        return Token(kind, number.group(), start)

    def _string(self, start: int) -> Token:
        text, at = self.text, start + 1
        out: list[str] = []
        while at < len(text) and (text[at] >= " " or text[at] == "\t"):
            char = text[at]
            if char == '"':
                self._at = at + 1
                # OPA's library places a string at its first character.
                return Token(STRING, "".join(out), start + 1)
            if char == "\\":
                escape = _ESCAPE.match(text, at)
                if escape is None:
                    return Token(INVALID, "", at + 1)
                out.append(_unescaped(escape.group()))
                at = escape.end()
            else:
                out.append(char)
                at += 1
        return Token(INVALID, "", at)

    def _block_string(self, start: int) -> Token:
        text, at = self.text, start + 3
        out: list[str] = []
        while at < len(text) and (text[at] >= " " or text[at] in "\t\r\n"):
            if text.startswith('"""', at):
                while text.startswith('"', at + 3):
                    out.append('"')
                    at += 1
                self._at = at + 3
                return Token(BLOCK_STRING, _block_value("".join(out)), start + 3)
            quotes = text.startswith('\\"""', at)
            out.append('"""' if quotes else text[at])
            at += 4 if quotes else 1
        return Token(INVALID, "", at)


def _unescaped(escape: str) -> str:
    if escape[1] != "u":
        return _ESCAPES[escape[1]]
    code = int(escape[2:], 16)
    return chr(_REPLACEMENT if 0xD800 <= code < 0xE000 else code)


def _block_value(raw: str) -> str:
    """Return a block string without its common indentation and the empty lines around it."""
    lines = _LINE.split(raw)
    indents = [len(line) - len(line.lstrip(" \t")) for line in lines[1:] if line.strip(" \t")]
    common = min(indents, default=0)
    lines = [lines[0], *(line[common:] for line in lines[1:])]
    while lines and not lines[0].strip(" \t"):
        del lines[0]
    while lines and not lines[-1].strip(" \t"):
        del lines[-1]
    return "\n".join(lines)
