"""Strings as Go sees them: bytes that are usually UTF-8.

Pure. A byte that is not UTF-8 is one surrogate code point (Python's `surrogateescape`), so that
`hex.encode(base64.decode(x))` and the like return what went in.
"""

from __future__ import annotations

import re
from typing import Any, Final

_SHORT_ESCAPES: Final = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
    '"': '\\"',
}
_NOT_UTF8: Final = re.compile("[\ud800-\udfff]")
_MAX_BMP: Final = 0xFFFF
_SPACE: Final = "\t\n\v\f\r \u0085\u00a0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)


def to_bytes(text: str) -> bytes:
    """Return the bytes of a string."""
    return text.encode("utf-8", "surrogateescape")


def from_bytes(raw: bytes) -> str:
    """Return bytes as a string."""
    return raw.decode("utf-8", "surrogateescape")


def printable(document: Any) -> Any:
    """Return a JSON document with U+FFFD for every byte that is not UTF-8, as Go prints it."""
    if isinstance(document, str):
        return _NOT_UTF8.sub("\ufffd", document)
    if isinstance(document, list):
        return [printable(item) for item in document]
    if isinstance(document, dict):
        return {printable(key): printable(item) for key, item in document.items()}
    return document


def trim_space(text: str) -> str:
    """Return a string without the white space around it."""
    return text.strip(_SPACE)


def quote(text: str, *, ascii_only: bool = False) -> str:
    """Return a string in double quotes, as Go's strconv.Quote writes it."""
    return f'"{"".join(_quoted(char, ascii_only) for char in text)}"'


def _quoted(char: str, ascii_only: bool) -> str:
    if " " <= char <= "~" and char not in '"\\':
        return char
    if short := _SHORT_ESCAPES.get(char):
        return short
    point = ord(char)
    if 0xDC80 <= point <= 0xDCFF:
        return f"\\x{point - 0xDC00:02x}"
    if point > 0x7F and char.isprintable() and not ascii_only:
        return char
    if point < 0x20 or point == 0x7F:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point <= _MAX_BMP else f"\\U{point:08x}"


def lower(text: str) -> str:
    """Return a string in lower case, character by character."""
    if text.isascii():
        return text.lower()
    return "".join(map(_lower, text))


def _lower(char: str) -> str:
    return char.lower()[0]


def upper(text: str) -> str:
    """Return a string in upper case, character by character: `ß` stays."""
    if text.isascii():
        return text.upper()
    return "".join(map(_upper, text))


def _upper(char: str) -> str:
    # Where Python answers several characters, Unicode's single one, if any, is the title case.
    for candidate in (char.upper(), char.title()):
        if len(candidate) == 1:
            return candidate
    return char
