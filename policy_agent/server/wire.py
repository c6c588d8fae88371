"""Write answers the way OPA writes them; the only place that maps errors to HTTP.

Pure. Errors are indented JSON.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

from msgspec import Struct

from policy_agent.codec import encode_json, indent_json
from policy_agent.config import Server
from policy_agent.decision.decisions import EVALUATION_MESSAGE
from policy_agent.errors import (
    DataPathError,
    DecisionLogError,
    PolicyAgentError,
    RequestError,
)
from policy_agent.model import JsonObject

Headers = tuple[tuple[bytes, bytes], ...]

JSON: Headers = ((b"content-type", b"application/json"),)
HTML: Headers = ((b"content-type", b"text/html; charset=utf-8"),)
PLAIN: Headers = (
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"x-content-type-options", b"nosniff"),
)
_VARY: Headers = ((b"vary", b"Accept-Encoding"),)

_STATUS_OF_ERROR: Mapping[type[PolicyAgentError], int] = {
    DataPathError: 500,
    RequestError: 400,
    DecisionLogError: 500,
}


class Answer(Struct):
    """One HTTP response before its length and encoding are known."""

    status: int
    body: bytes = b""
    headers: Headers = ()


def evaluation_failed(error: JsonObject) -> Answer:
    """Return OPA's 500 for a query that could not be evaluated."""
    return error_answer(500, "internal_error", EVALUATION_MESSAGE, errors=[error])


def answer_of_error(error: PolicyAgentError) -> Answer:
    """Return the HTTP form of one of our errors; an unmapped class is an internal error."""
    for base in type(error).__mro__:
        if base in _STATUS_OF_ERROR:
            return error_answer(_STATUS_OF_ERROR[base], error.code, str(error))
    return error_answer(500, PolicyAgentError.code, str(error))


def error_answer(
    status: int, code: str, message: str, *, errors: list[JsonObject] | None = None
) -> Answer:
    """Return OPA's error object, indented as OPA prints it."""
    body = b"{" + error_fields(code, message, errors) + b"}"
    return Answer(status, finish(body, pretty=True), JSON)


def error_fields(code: str, message: str, errors: list[JsonObject] | None = None) -> bytes:
    """Return the fields of OPA's error object, without the braces."""
    head = b'"code":' + encode_json(code) + b',"message":' + encode_json(message)
    return head + b',"errors":[' + b",".join(map(_ordered, errors)) + b"]" if errors else head


def _ordered(value: JsonObject) -> bytes:
    """Return an object as it stands: Go writes the fields of its errors unsorted."""
    fields = (
        encode_json(name) + b":" + (_ordered(item) if isinstance(item, dict) else encode_json(item))
        for name, item in value.items()
    )
    return b"{" + b",".join(fields) + b"}"


def write_refused(path: str, owner: str | None, *, owns_all: bool = False) -> Answer:
    """Return OPA's refusal of a write below a path that a bundle owns; here that is every path.

    Args:
        owner: the bundle that owns the path, None when none does.
        owns_all: whether the owner's root is the whole document.
    """
    if not path:
        message = "can't write to document root with bundle roots configured"
    elif owner is not None and owns_all:
        message = f'all paths owned by bundle "{owner}"'
    elif owner is not None:
        message = f'path {path} is owned by bundle "{owner}"'
    else:
        message = f"path {path} cannot be written: policies and data come from bundles only"
    return error_answer(400, "invalid_parameter", message)


def health(failure: str) -> Answer:
    """Return OPA's health answer: 200 and `{}`, or 500 with the reason."""
    if not failure:
        return Answer(200, b"{}\n", JSON)
    return Answer(500, finish(encode_json({"error": failure}), pretty=False), JSON)


def result(value: JsonObject | list[JsonObject], *, pretty: bool) -> Answer:
    """Return `{"result": value}`."""
    return json_answer(encode_json({"result": value}), pretty=pretty)


def json_answer(body: bytes, *, pretty: bool = False, status: int = 200) -> Answer:
    """Return a JSON text."""
    return Answer(status, finish(body, pretty=pretty), JSON)


def not_found() -> Answer:
    """Return Go's plain 404."""
    return Answer(404, b"404 page not found\n", PLAIN)


def method_not_allowed(allow: bytes = b"") -> Answer:
    """Return 405: empty on OPA's own routes, Go's plain text where `allow` is given."""
    if not allow:
        return Answer(405)
    return Answer(405, b"Method Not Allowed\n", ((b"allow", allow), *PLAIN))


def redirect(status: int, location: str, *, with_body: bool) -> Answer:
    """Return Go's redirect; a GET is told in a line of HTML, too."""
    where = (b"location", location.encode("latin-1"))
    if not with_body:
        return Answer(status, headers=(where,))
    text = {301: "Moved Permanently", 307: "Temporary Redirect"}[status]
    # Its table of entities is large, and redirects are rare.
    import html

    body = f'<a href="{html.escape(location)}">{text}</a>.\n\n'
    return Answer(status, body.encode(), (where, *HTML))


def compress(answer: Answer, accept_encoding: str, limits: Server) -> Answer:
    """Gzip an answer for a client that accepts it, from the configured length on."""
    headers = answer.headers + _VARY
    if len(answer.body) < limits.gzip_min_length or not accepts_gzip(accept_encoding):
        return Answer(answer.status, answer.body, headers)
    return gzipped(Answer(answer.status, answer.body, headers), limits.gzip_level)


def gzipped(answer: Answer, level: int = 9) -> Answer:
    """Gzip an answer."""
    packer = zlib.compressobj(level, wbits=31)
    body = packer.compress(answer.body) + packer.flush()
    return Answer(answer.status, body, (*answer.headers, (b"content-encoding", b"gzip")))


def accepts_gzip(accept_encoding: str) -> bool:
    """Tell whether a client takes gzip, by its `Accept-Encoding`."""
    for choice in accept_encoding.split(","):
        coding, _, weight = choice.strip().partition(";")
        if coding.strip().lower() == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def finish(body: bytes, *, pretty: bool) -> bytes:
    """Return a JSON text as a body: ended by a line feed, indented when `pretty`."""
    return (indent_json(body) if pretty else body) + b"\n"
