"""Read and write JSON and YAML the way OPA does; the only place that knows how.

Pure. JSON out is compact, with sorted keys and `<`, `>`, `&`, U+2028 and U+2029 escaped (Go's
encoding/json). YAML follows 1.2 for booleans and dates, so `on` and `2026-01-01` are strings.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

import msgspec

from policy_agent.errors import DocumentError
from policy_agent.number import Number

MAX_DEPTH_MESSAGE = "nested too deeply"
# Python reads no integer of more: that takes time that grows with the square (sys.int_info).
_TOO_LONG_MESSAGE = "an integer has more than 4300 digits"

_decode = msgspec.json.Decoder(float_hook=Number).decode
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_MINUS_ZERO = re.compile(rb"-0(?![\d.eE])")
_GO_ESCAPES = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)


def _encode_other(value: Any) -> msgspec.Raw:
    if isinstance(value, Number):
        return msgspec.Raw(value.text.encode())
    raise TypeError(f"{type(value).__name__} is not a JSON value")


_encode = msgspec.json.Encoder(order="sorted", enc_hook=_encode_other).encode


def decode_json(raw: bytes | msgspec.Raw) -> Any:
    """Parse one JSON document; numbers that are not integers become `Number`.

    Invalid UTF-8 and lone surrogates become U+FFFD and the last of equal keys wins, as in Go.

    Raises:
        DocumentError: not JSON, or nested more deeply or with more digits than the interpreter can
            read.
    """
    try:
        return _decode_leniently(bytes(raw)) if _has_minus_zero(raw) else _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _decode_leniently(bytes(raw))
    except RecursionError as exc:
        raise DocumentError(MAX_DEPTH_MESSAGE) from exc
    except ValueError as exc:
        raise DocumentError(_TOO_LONG_MESSAGE) from exc


def decode_json_prefix(raw: bytes) -> Any:
    """Parse the first JSON value and ignore what follows it, as OPA does with request bodies.

    Raises:
        DocumentError: the text does not begin with a JSON value.
    """
    try:
        return _decode_leniently(raw, whole=False) if _has_minus_zero(raw) else _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _decode_leniently(raw, whole=False)
    except RecursionError as exc:
        raise DocumentError(MAX_DEPTH_MESSAGE) from exc
    except ValueError as exc:
        raise DocumentError(_TOO_LONG_MESSAGE) from exc


def _decode_leniently(raw: bytes, *, whole: bool = True) -> Any:
    text = raw.decode("utf-8", "replace")
    decoder = json.JSONDecoder(
        parse_constant=_refuse_constant, parse_float=Number, parse_int=_integer
    )
    try:
        stripped = text.lstrip(" \t\r\n")
        value, end = decoder.raw_decode(stripped)
        if whole and stripped[end:].strip(" \t\r\n"):
            raise json.JSONDecodeError("Extra data", text, len(text) - len(stripped) + end)
    except json.JSONDecodeError as exc:
        msg = f"line {exc.lineno} column {exc.colno}: {exc.msg}"
        raise DocumentError(msg) from exc
    except RecursionError as exc:
        raise DocumentError(MAX_DEPTH_MESSAGE) from exc
    except ValueError as exc:
        raise DocumentError(_TOO_LONG_MESSAGE) from exc
    return _replace_surrogates(value)


def _has_minus_zero(raw: bytes) -> bool:
    """Return whether there may be a `-0`, of which the fast reader makes 0."""
    if type(raw) is bytes:
        return b"-0" in raw and _MINUS_ZERO.search(raw) is not None
    return _MINUS_ZERO.search(memoryview(raw)) is not None


def _integer(text: str) -> int | Number:
    return Number(text) if text == "-0" else int(text)


def _refuse_constant(name: str) -> NoReturn:
    raise DocumentError(f"{name} is not a JSON value")


def _replace_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return _LONE_SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_replace_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_replace_surrogates(k): _replace_surrogates(v) for k, v in value.items()}
    return value


def encode_json(value: Any) -> bytes:
    """Return `value` as OPA prints it, on one line."""
    try:
        encoded = _encode(value)
    except UnicodeEncodeError:
        # Bytes that are no text, as `base64.decode` may give; Go writes U+FFFD for them, too.
        encoded = _encode(_replace_surrogates(value))
    # Four plain searches take a tenth of one regular expression; U+2028 begins with E2.
    if b"<" in encoded or b">" in encoded or b"&" in encoded or b"\xe2" in encoded:
        for plain, escaped in _GO_ESCAPES:
            encoded = encoded.replace(plain, escaped)
    return encoded


def indent_json(encoded: bytes) -> bytes:
    """Return a JSON text indented by two spaces, as OPA's `pretty` does."""
    return msgspec.json.format(encoded, indent=2)


def decode_yaml(raw: bytes) -> Any:
    """Parse one YAML document into JSON values; an empty one is None.

    Raises:
        DocumentError: not YAML, or it holds what JSON cannot express.
    """
    import yaml

    from policy_agent.yaml_loader import JsonYamlLoader

    try:
        return yaml.load(raw, Loader=JsonYamlLoader)  # noqa: S506 - a SafeLoader by inheritance
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark
        where = f"line {mark.line + 1} column {mark.column + 1}: " if mark else ""
        raise DocumentError(f"{where}{exc.problem or exc.context or 'not YAML'}") from exc
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise DocumentError(f"not YAML: {exc}".splitlines()[0]) from exc
    except RecursionError as exc:
        raise DocumentError(MAX_DEPTH_MESSAGE) from exc


def decode_document(raw: bytes) -> Any:
    """Parse JSON, or YAML where the text does not begin with a brace or bracket.

    Raises:
        DocumentError: neither.
    """
    if raw.lstrip()[:1] in (b"{", b"["):
        try:
            return decode_json(raw)
        except DocumentError:
            return decode_yaml(raw)
    return decode_yaml(raw)
