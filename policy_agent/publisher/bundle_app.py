"""The HTTP side of `serve-bundles`: GETs of bundles, the way OPA and the agent download them.

A client that names the version it has is told when that is the current one, or, if it would rather
wait (`Prefer: wait=60`), answered when there is another. A download that was cut goes on from there
(`Range`).

The archive is never sent with `Content-Encoding`, because OPA's client would unpack it twice.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from policy_agent import codec
from policy_agent.errors import BundleError
from policy_agent.publisher.bundle_store import BundleStore, StoredBundle
from policy_agent.publisher.etag import is_known
from policy_agent.publisher.preferences import seconds_to_wait, wanted_part

# By this a client sees that it may wait (OPA docs, management-bundles, "Long Polling").
LONG_POLL_TYPE: Final = "application/vnd.openpolicyagent.bundles"
LOOK_SECONDS: Final = 0.2  # between looks at the file while clients wait


def create_app(store: BundleStore) -> Starlette:
    """Return the application: `GET /bundles/<name>[.tar.gz]` and `GET /health`."""

    async def bundle(request: Request) -> Response:
        name = request.path_params["name"]
        wait_seconds = seconds_to_wait(request.headers.get("Prefer"))
        known = request.headers.get("If-None-Match")
        stored = await _news(store, name, known, wait_seconds)
        if stored is None:
            return _error(404, "resource_not_found", f"there is no bundle named {name}")
        # Whoever stands between must ask us each time, or a new revision would arrive late.
        headers = {"ETag": stored.etag, "Cache-Control": "no-cache", "Accept-Ranges": "bytes"}
        media_type = LONG_POLL_TYPE if wait_seconds else "application/gzip"
        if is_known(stored.etag, known):
            return Response(status_code=304, headers=headers, media_type=media_type)
        part = _part(request, stored)
        if part is None:
            return Response(stored.raw, headers=headers, media_type=media_type)
        size = len(stored.raw)
        if not part:
            headers["Content-Range"] = f"bytes */{size}"
            return Response(status_code=416, headers=headers)
        headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
        raw = stored.raw[part.start : part.stop]
        return Response(raw, 206, headers=headers, media_type=media_type)

    async def health(_: Request) -> Response:
        return Response(b"{}", media_type="application/json")

    return Starlette(
        routes=[Route("/bundles/{name:path}", bundle), Route("/health", health)],
        exception_handlers={HTTPException: _on_http_error, BundleError: _on_unreadable_bundle},
    )


async def _news(
    store: BundleStore, name: str, known: str | None, wait_seconds: int
) -> StoredBundle | None:
    """Return a bundle, for a client that has it already not before there is another."""
    deadline = time.monotonic() + wait_seconds
    while True:
        stored = store.find(name)
        is_news = stored is None or not is_known(stored.etag, known)
        if is_news or time.monotonic() >= deadline:
            return stored
        await asyncio.sleep(LOOK_SECONDS)


def _part(request: Request, stored: StoredBundle) -> range | None:
    """Return the bytes that are asked for, None for all of them."""
    if request.headers.get("If-Range", stored.etag) != stored.etag:
        return None
    return wanted_part(request.headers.get("Range"), len(stored.raw))


async def _on_http_error(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    code = "resource_not_found" if exc.status_code == 404 else "invalid_parameter"
    response = _error(exc.status_code, code, exc.detail)
    response.headers.update(exc.headers or {})
    return response


async def _on_unreadable_bundle(_: Request, exc: Exception) -> Response:
    return _error(500, "internal_error", str(exc))


def _error(status: int, code: str, message: str) -> Response:
    body = codec.indent_json(codec.encode_json({"code": code, "message": message})) + b"\n"
    return Response(body, status, media_type="application/json")
