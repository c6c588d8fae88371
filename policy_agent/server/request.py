"""Read a request the way OPA reads it: path, parameters, body, input.

Pure. The rules and their oddities are those of OPA v1.22 v1/server/server.go, verified against the
program.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, unquote

from msgspec import Struct

from policy_agent.codec import decode_json, decode_json_prefix, decode_yaml, encode_json
from policy_agent.config import Server
from policy_agent.errors import DataPathError, DocumentError, RequestError
from policy_agent.model import UNDEFINED, DataPath

KEPT_PATHS = 1000  # a function asks for few, over and over
_INTEGER = re.compile(r"[+-]?[0-9]+\Z")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_MAX_INT64 = (1 << 63) - 1
_INFLATE_STEP_BYTES = 1 << 20
_GZIP_HEADER_BYTES = 10
_UNIT_STEP = 1024

_DECODING = "error(s) occurred while decoding request"

EXPLAIN_MODES = ("notes", "fails", "full", "debug")

Parameters = Mapping[str, list[str]]


def parse_parameters(query_string: bytes) -> Parameters:
    """Return name -> values, blank ones included."""
    if not query_string:
        return {}
    return parse_qs(query_string.decode("latin-1"), keep_blank_values=True)


def flag(parameters: Parameters, name: str) -> bool:
    """Tell whether a boolean parameter is on: `?name`, or any value that says `true`."""
    values = parameters.get(name)
    if not values:
        return False
    return values == [""] or any(value.lower() == "true" for value in values)


def explain_mode(parameters: Parameters) -> str:
    """Return the first known value of `explain`, "" for none."""
    modes = [mode for mode in parameters.get("explain", ()) if mode in EXPLAIN_MODES]
    return modes[0] if modes else ""


def reference(segments: DataPath) -> str:
    """Return a data path as Rego writes it: `data.orders.lines[0]["a/b"]`."""
    parts = ["data"]
    for segment in segments:
        if isinstance(segment, int):
            parts.append(f"[{segment}]")
        elif _NAME.match(segment):
            parts.append(f".{segment}")
        else:
            parts.append(f"[{encode_json(segment).decode()}]")
    return "".join(parts)


@lru_cache(maxsize=KEPT_PATHS)
def parse_data_path(path: str) -> DataPath:
    """Split a data path on `/`, unescape each segment, and read integers as array indexes.

    Raises:
        DataPathError: a segment holds a quotation mark, which no reference can.
    """
    if not path:
        return ()
    return tuple(_segment(unquote(part)) for part in path.split("/"))


def _segment(text: str) -> str | int:
    if '"' in text:
        msg = f"invalid_parameter: invalid path: invalid ref term '{text}'"
        raise DataPathError(msg)
    if _INTEGER.match(text) and -_MAX_INT64 <= (number := int(text)) <= _MAX_INT64:
        return number
    return text


def inflate(body: bytes, content_encoding: str, limits: Server) -> bytes:
    """Undo gzip where the request says so; other encodings are ignored, as OPA ignores them.

    Raises:
        RequestError: not gzip, or larger than the limit once inflated.
    """
    if "gzip" not in content_encoding:
        return body
    limit = limits.max_gzip_bytes
    out = bytearray()
    rest = body
    try:
        while rest:
            inflater = zlib.decompressobj(wbits=31)
            while rest and not inflater.eof:
                out += inflater.decompress(rest, _INFLATE_STEP_BYTES)
                rest = inflater.unconsumed_tail
                if len(out) > limit:
                    msg = (
                        "request body too large: decompressed size exceeds limit of "
                        f"{limit} bytes (server.decoding.gzip.max_length)"
                    )
                    raise RequestError(msg)
            if not inflater.eof:
                msg = "could not decompress the body: unexpected EOF"
                raise RequestError(msg)
            rest = inflater.unused_data
    except zlib.error as exc:
        reason = "gzip: invalid header" if len(rest) >= _GZIP_HEADER_BYTES else "unexpected EOF"
        msg = f"could not decompress the body: {reason}"
        raise RequestError(msg) from exc
    return bytes(out)


def too_large(limit: int, announced: int | None = None) -> RequestError:
    """Return OPA's error for a body over `server.decoding.max_length`.

    Args:
        announced: the request's Content-Length, None when it has none.
    """
    size = "" if announced is None else f"{_rounded(announced)} "
    return RequestError(
        f"request body too large: {size}exceeds limit of {limit} bytes (server.decoding.max_length)"
    )


def _rounded(size: float) -> str:
    if size < _UNIT_STEP:
        return f"{size} bytes"
    for unit in ("KiB", "MiB", "GiB"):
        size /= _UNIT_STEP
        if size < _UNIT_STEP or unit == "GiB":
            break
    return f"{size:.1f}".removesuffix(".0") + f" {unit}"


def input_of_v1_body(body: bytes, content_type: str) -> tuple[Any, dict[str, Any]]:
    """Return the input of a v1 data request and the other top-level keys, its metadata.

    A missing body, `null`, `{}` and `{"input": null}` all mean that there is no input; key case
    does not matter and what follows the first JSON value is ignored.

    Raises:
        RequestError: the body is neither an object nor null.
    """
    try:
        request = _body(body, content_type)
    except DocumentError as exc:
        msg = f"body contains malformed input document: {exc}"
        raise RequestError(msg) from exc
    if request is UNDEFINED or request is None:
        return UNDEFINED, {}
    if not isinstance(request, dict):
        msg = f"body contains malformed input document: {_kind(request)} is not an object"
        raise RequestError(msg)
    value = UNDEFINED
    metadata = {}
    for key, item in request.items():
        if key == "input" or key.lower() == "input":
            value = UNDEFINED if item is None else item
        else:
            metadata[key] = item
    return value, metadata


def input_of_v0_body(body: bytes, content_type: str) -> Any:
    """Return the input of a v0 data request: the body itself, `null` when there is none.

    Raises:
        RequestError: the body is not JSON (or YAML, where the content type says so).
    """
    try:
        value = _body(body, content_type)
    except DocumentError as exc:
        prefix = "unexpected parse error for input: body contains malformed input document"
        msg = f"{prefix}: {exc}"
        raise RequestError(msg) from exc
    return None if value is UNDEFINED else value


def input_of_parameter(parameters: Parameters) -> Any:
    """Return the `input` parameter of a GET, UNDEFINED without one; the last value counts.

    Raises:
        RequestError: its text is not JSON.
    """
    if "input" not in parameters:
        return UNDEFINED
    try:
        return decode_json(parameters["input"][-1].encode("utf-8", "surrogateescape"))
    except DocumentError as exc:
        msg = f"parameter contains malformed input document: {exc}"
        raise RequestError(msg) from exc


def input_of_v1_value(request: Any) -> Any:
    """Return the input of a v1 data request whose body authorization has parsed.

    Read as OPA reads it then: only the exact key, and its `null` is a value.
    """
    return request.get("input", UNDEFINED) if isinstance(request, dict) else UNDEFINED


class Batch(Struct, frozen=True):
    """What a batch request holds.

    Attributes:
        inputs: key -> input; None when the request has none.
        common: what all inputs have in common, None when that is nothing.
    """

    inputs: dict[str, Any] | None
    common: Any


def batch_of_body(body: bytes, content_type: str, parsed: Any = UNDEFINED) -> Batch:
    """Return the inputs of a batch request.

    Args:
        parsed: the body as authorization has parsed it, UNDEFINED where it has not.

    Raises:
        RequestError: the body is neither an object nor null, or its inputs are no object.
    """
    if parsed is UNDEFINED:
        try:
            parsed = _body(body, content_type)
        except DocumentError as exc:
            raise RequestError(f"body contains malformed input document: {exc}") from exc
    if parsed is UNDEFINED or parsed is None:
        return Batch(None, None)
    inputs = parsed.get("inputs") if isinstance(parsed, dict) else parsed
    if not isinstance(inputs, dict | None):
        msg = f"body contains malformed input document: {_kind(inputs)} is not an object"
        raise RequestError(msg)
    return Batch(inputs, parsed.get("common_input"))


def is_exact(content_type: str) -> bool:
    """Tell whether a body of this type is read without floats; YAML has them."""
    return "yaml" not in content_type


def merged(common: Any, value: Any) -> Any:
    """Return an input over what it has in common with others: objects merge, else it wins."""
    if not isinstance(common, dict) or not isinstance(value, dict):
        return value
    return {
        **common,
        **{key: merged(common.get(key), item) for key, item in value.items()},
    }


def query_of_body(body: bytes) -> tuple[str, Any]:
    """Return the text and the input of a `POST /v1/query`.

    Raises:
        RequestError: the body is neither an object nor null, or the query is no string.
    """
    try:
        if not body.strip():
            raise DocumentError("EOF")
        request = decode_json_prefix(body)
    except DocumentError as exc:
        raise RequestError(f"{_DECODING}: {exc}") from exc
    fields = request if isinstance(request, dict) else {}
    # As Go reads an object: the case of keys does not matter, null is nothing.
    plain = {key.lower(): item for key, item in fields.items() if item is not None}
    return query_of_value({} if request is None else plain if fields else request)


def query_of_value(request: Any) -> tuple[str, Any]:
    """Return the text and the input of a query whose body is parsed.

    Raises:
        RequestError: it is no object, or the query is no string.
    """
    if not isinstance(request, dict):
        raise RequestError(f"{_DECODING}: {_kind(request)} is not an object")
    text, value = request.get("query"), request.get("input")
    if not isinstance(text, str | None):
        raise RequestError(f"{_DECODING}: query: {_kind(text)} is not a string")
    return text or "", UNDEFINED if value is None else value


def _body(body: bytes, content_type: str) -> Any:
    if not body.strip():
        return UNDEFINED
    if "yaml" in content_type:
        return decode_yaml(body)
    return decode_json_prefix(body)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, list):
        return "array"
    return "string" if isinstance(value, str) else "number"
