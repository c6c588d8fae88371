"""Base64, hexadecimal and URL encodings of strings.

Pure. Semantics of OPA v1.22 v1/topdown/encoding.go and Go's encoding packages, whose strictness and
error texts are kept.
"""

from __future__ import annotations

import binascii
import re
from typing import Final
from urllib.parse import quote_plus

from policy_agent.rego.builtins import operands
from policy_agent.rego.builtins.go_text import from_bytes, quote, to_bytes
from policy_agent.rego.builtins.registry import Builtin, BuiltinError, operand_error
from policy_agent.rego.values import Value, to_json

_FROM_URL: Final = bytes.maketrans(b"-_", b"+/")
_BASE64: Final = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_ALPHABET: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
_HEX_DIGITS: Final = frozenset(b"0123456789abcdefABCDEF")
_ESCAPE: Final = re.compile(rb"%.{0,2}", re.DOTALL)


def base64_encode(text: Value) -> str:
    """Return a string in base64."""
    raw = to_bytes(operands.need_string(text, 1))
    return binascii.b2a_base64(raw, newline=False).decode()


def base64url_encode(text: Value) -> str:
    """Return a string in base64 with the URL alphabet."""
    return base64_encode(text).translate(str.maketrans("+/", "-_"))


def base64url_encode_no_pad(text: Value) -> str:
    """Return a string in base64 with the URL alphabet and no padding."""
    return base64url_encode(text).rstrip("=")


def _decoded(raw: bytes) -> str:
    # Line ends may be anywhere; Go skips them.
    packed = raw.replace(b"\r", b"").replace(b"\n", b"")
    if not _BASE64.fullmatch(packed):
        raise BuiltinError(f"illegal base64 data at input byte {_corrupt_byte(raw)}")
    return from_bytes(binascii.a2b_base64(packed))


def _corrupt_byte(raw: bytes) -> int:
    """Return where Go's decoder gives up."""
    quantum = 0
    for at, byte in enumerate(raw):
        if byte in b"\r\n":
            continue
        if byte in _ALPHABET:
            quantum = (quantum + 1) % 4
            continue
        if byte != ord("=") or quantum < 2:
            return at
        return _corrupt_padding(raw, at, quantum)
    return len(raw) - quantum


def _corrupt_padding(raw: bytes, at: int, quantum: int) -> int:
    rest = [index for index in range(at + 1, len(raw)) if raw[index] not in b"\r\n"]
    if quantum == 2:
        if not rest:
            return len(raw)
        if raw[rest[0]] != ord("="):
            return rest[0] - 1
        rest = rest[1:]
    return rest[0] if rest else len(raw)


def base64_decode(text: Value) -> str:
    """Return the string that base64 stands for.

    Raises:
        BuiltinError: it is not base64.
    """
    return _decoded(to_bytes(operands.need_string(text, 1)))


def base64_is_valid(text: Value) -> bool:
    """Return whether a value is a string in base64."""
    if type(text) is not str:
        return False
    return bool(_BASE64.fullmatch(to_bytes(text).replace(b"\r", b"").replace(b"\n", b"")))


def base64url_decode(text: Value) -> str:
    """Return the string that base64 with the URL alphabet, padded or not, stands for.

    Raises:
        BuiltinError: it is not base64.
    """
    given = operands.need_string(text, 1)
    raw = to_bytes(given)
    if not raw.endswith(b"="):
        missing = -len(raw) % 4
        if missing == 3:
            raise BuiltinError(f"illegal base64url string: {given}")
        raw += b"=" * missing
    # `+` and `/` are not in this alphabet: let them fail where they stand.
    return _decoded(raw.replace(b"+", b"!").replace(b"/", b"!").translate(_FROM_URL))


def hex_encode(text: Value) -> str:
    """Return a string's bytes in hexadecimal."""
    return to_bytes(operands.need_string(text, 1)).hex()


def hex_decode(text: Value) -> str:
    """Return the string whose bytes hexadecimal digits stand for.

    Raises:
        BuiltinError: a character is no such digit, or one is missing.
    """
    raw = to_bytes(operands.need_string(text, 1))
    for byte in raw:
        if byte not in _HEX_DIGITS:
            raise BuiltinError(f"encoding/hex: invalid byte: {_unicode_point(byte)}")
    if len(raw) % 2:
        raise BuiltinError("encoding/hex: odd length hex string")
    return from_bytes(bytes.fromhex(raw.decode()))


def _unicode_point(byte: int) -> str:
    char = chr(byte)
    return f"U+{byte:04X} '{char}'" if char.isprintable() else f"U+{byte:04X}"


def urlquery_encode(text: Value) -> str:
    """Return a string escaped for a URL's query."""
    return _escaped(operands.need_string(text, 1))


def _escaped(text: str) -> str:
    return quote_plus(to_bytes(text))


def _unescaped(text: str) -> str:
    return from_bytes(_ESCAPE.sub(_unescaped_byte, to_bytes(text).replace(b"+", b" ")))


def _unescaped_byte(found: re.Match[bytes]) -> bytes:
    digits = found[0][1:]
    if len(digits) < 2 or not set(digits) <= _HEX_DIGITS:
        raise BuiltinError(f"invalid URL escape {quote(from_bytes(found[0]))}")
    return bytes.fromhex(digits.decode())


def urlquery_decode(text: Value) -> str:
    """Return the string that an escaped one stands for.

    Raises:
        BuiltinError: a `%` is not followed by two hexadecimal digits.
    """
    return _unescaped(operands.need_string(text, 1))


def urlquery_encode_object(whole: Value) -> str:
    """Return an object of strings, or of several for a key, as a URL's query."""
    pairs = to_json(operands.need_object(whole, 1))
    problem = operand_error(1, "values must be string, array[string], or set[string]")
    parts: list[str] = []
    for key in sorted(pairs):
        items = [pairs[key]] if type(pairs[key]) is str else pairs[key]
        if type(items) is not list or any(type(item) is not str for item in items):
            raise problem
        parts += (f"{_escaped(key)}={_escaped(item)}" for item in items)
    return "&".join(parts)


def urlquery_decode_object(text: Value) -> dict[str, list[str]]:
    """Return a URL's query as an object from each key to its values.

    Raises:
        BuiltinError: it is malformed.
    """
    result: dict[str, list[str]] = {}
    for part in operands.need_string(text, 1).split("&"):
        if ";" in part:
            raise BuiltinError("invalid semicolon separator in query")
        if part:
            key, _, item = part.partition("=")
            name, value = _unescaped(key), _unescaped(item)
            result.setdefault(name, []).append(value)
    return result


BUILTINS: Final = {
    builtin.name: builtin
    for builtin in (
        Builtin("base64.encode", base64_encode),
        Builtin("base64.decode", base64_decode),
        Builtin("base64.is_valid", base64_is_valid),
        Builtin("base64url.encode", base64url_encode),
        Builtin("base64url.encode_no_pad", base64url_encode_no_pad),
        Builtin("base64url.decode", base64url_decode),
        Builtin("hex.encode", hex_encode),
        Builtin("hex.decode", hex_decode),
        Builtin("urlquery.encode", urlquery_encode),
        Builtin("urlquery.decode", urlquery_decode),
        Builtin("urlquery.encode_object", urlquery_encode_object),
        Builtin("urlquery.decode_object", urlquery_decode_object),
    )
}
