"""The HTTP side of `audit serve`: OPA's decision log upload, health and counters.

Protocol: OPA v1.22 `POST /logs[/<partition>]`, a gzip JSON array; any 2xx means taken. Errors are
OPA's `{"code", "message"}` (v1/server/types/types.go).
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from policy_agent.auditor.collector import Collector
from policy_agent.codec import encode_json
from policy_agent.errors import AuditError, RequestError

log = logging.getLogger(__name__)

# OPA's default upload is 32 KB; this leaves room for one configured 500 times larger.
MAX_BODY_BYTES: Final = 16 << 20

_Handler = Callable[[Request], Awaitable[Response]]


def create_app(collector: Collector, *, token: str = "") -> Starlette:
    """Return the ASGI application.

    Args:
        collector: takes the bodies; whoever made it also runs and closes it.
        token: bearer token that `/logs` and `/stats` ask for, "" for none.
    """

    async def logs(request: Request) -> Response:
        is_gzip = _is_gzip(request)
        await collector.accept(await _read_body(request), is_gzip=is_gzip)
        return _json({})

    async def stats(_: Request) -> Response:
        return _json(collector.stats())

    async def health(_: Request) -> Response:
        return _json({})

    def guarded(handler: _Handler) -> _Handler:
        async def check(request: Request) -> Response:
            given = request.headers.get("authorization", "")
            if token and not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
                raise HTTPException(401, "a valid bearer token is required")
            return await handler(request)

        return check

    return Starlette(
        routes=[
            Route("/logs", guarded(logs), methods=["POST"]),
            Route("/logs/{partition:path}", guarded(logs), methods=["POST"]),
            Route("/stats", guarded(stats)),
            Route("/health", health),
        ],
        exception_handlers={
            HTTPException: _http_error,
            RequestError: _request_error,
            AuditError: _audit_error,
            ClientDisconnect: _disconnected,
        },
    )


def _is_gzip(request: Request) -> bool:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("gzip", "identity"):
        raise HTTPException(415, "Content-Encoding must be gzip or absent")
    return encoding == "gzip"


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(413, f"the body is larger than {MAX_BODY_BYTES} bytes")
    return bytes(body)


_CODES: Final = {
    401: "unauthorized",
    404: "resource_not_found",
    405: "method_not_allowed",
    413: "request_too_large",
}


async def _http_error(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    response = _error(exc.status_code, _CODES.get(exc.status_code, RequestError.code), exc.detail)
    response.headers.update(exc.headers or {})
    return response


async def _request_error(_: Request, exc: Exception) -> Response:
    return _error(400, RequestError.code, str(exc))


async def _audit_error(_: Request, exc: Exception) -> Response:
    log.error("a body was refused: %s", exc)
    return _error(500, AuditError.code, "the body could not be stored; send it again")


async def _disconnected(_: Request, __: Exception) -> Response:
    return Response(status_code=400)  # nobody is there to read it


def _error(status: int, code: str, message: str) -> Response:
    return _json({"code": code, "message": message}, status)


def _json(body: object, status: int = 200) -> Response:
    return Response(encode_json(body), status, media_type="application/json")
