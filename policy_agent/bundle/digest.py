"""The digests that a bundle's signature lists, as OPA computes them (v1.22 v1/bundle/hash.go).

Pure. Data files and the manifest are digested as canonical JSON, so that layout does not matter,
but numbers keep the digits of the file: `1e2`, `100` and `100.0` differ. Other files are digested
as bytes.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from decimal import Decimal
from typing import Any, Final, NoReturn

from policy_agent import codec
from policy_agent.bundle.documents import DATA_NAMES
from policy_agent.bundle.yaml_size import decode_yaml
from policy_agent.errors import DocumentError

ALGORITHMS: Final = {
    "MD5": "md5",
    "SHA-1": "sha1",
    "SHA-224": "sha224",
    "SHA-256": "sha256",
    "SHA-384": "sha384",
    "SHA-512": "sha512",
    "SHA-512-224": "sha512_224",
    "SHA-512-256": "sha512_256",
}
_STRUCTURED_JSON: Final = ("data.json", ".manifest")
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_MAX_UINT64: Final = (1 << 64) - 1
_MIN_INT64: Final = -(1 << 63)


class _Literal(str):
    """A number as the file spells it."""

    __slots__ = ()


def file_digest(path: str, content: bytes, algorithm: str) -> str:
    """Return a file's digest in hexadecimal.

    Args:
        path: decides whether the content is digested as a document or as bytes.
        algorithm: one of `ALGORITHMS`.

    Raises:
        DocumentError: a data file or manifest is not the document its name says.
    """
    basename = path.rpartition("/")[2]
    if basename in _STRUCTURED_JSON:
        content = canonical_json(_literal_json(content))
    elif basename in DATA_NAMES:
        content = canonical_json(decode_yaml(content))
    # MD5 and SHA-1 are the signer's choice and stand inside the signed payload.
    return hashlib.new(ALGORITHMS[algorithm], content, usedforsecurity=False).hexdigest()


def canonical_json(value: Any) -> bytes:
    """Return compact JSON with sorted keys, only U+2028 and U+2029 escaped beyond need.

    Raises:
        DocumentError: nested too deeply, or not a JSON value.
    """
    pieces: list[str] = []
    try:
        _append(value, pieces)
    except RecursionError as exc:
        raise DocumentError(codec.MAX_DEPTH_MESSAGE) from exc
    return "".join(pieces).encode("utf-8")


def _append(value: Any, pieces: list[str]) -> None:
    if isinstance(value, dict):
        pieces.append("{")
        for position, key in enumerate(sorted(value)):
            pieces.append(f"{',' if position else ''}{_string(key)}:")
            _append(value[key], pieces)
        pieces.append("}")
    elif isinstance(value, list):
        pieces.append("[")
        for position, item in enumerate(value):
            if position:
                pieces.append(",")
            _append(item, pieces)
        pieces.append("]")
    else:
        pieces.append(_scalar(value))


def _scalar(value: Any) -> str:
    if isinstance(value, _Literal):
        return str(value)
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, int) and _MIN_INT64 <= value <= _MAX_UINT64:
        return str(value)
    return _go_float(value)


def _string(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    return quoted.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _go_float(value: float) -> str:
    """Return a YAML float as Go's encoding/json prints one."""
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise DocumentError("a number is not a JSON value")
    if number == 0 or 1e-6 <= abs(number) < 1e21:
        return f"{Decimal(repr(number)):f}".removesuffix(".0")
    mantissa, _, exponent = repr(number).partition("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent):+d}"


def _literal_json(raw: bytes) -> Any:
    text = raw.decode("utf-8", "replace")
    try:
        value = json.loads(
            text, parse_int=_Literal, parse_float=_Literal, parse_constant=_refuse_constant
        )
        return _without_surrogates(value) if "\\u" in text else value
    except json.JSONDecodeError as exc:
        raise DocumentError(f"line {exc.lineno} column {exc.colno}: {exc.msg}") from exc
    except RecursionError as exc:
        raise DocumentError(codec.MAX_DEPTH_MESSAGE) from exc


def _refuse_constant(name: str) -> NoReturn:
    raise DocumentError(f"{name} is not a JSON value")


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, _Literal):
        return value
    if isinstance(value, str):
        return _LONE_SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(k): _without_surrogates(v) for k, v in value.items()}
    return value
