"""The HTTP side of `serve-bundles`: conditional GETs of bundles, the way OPA downloads them.

The archive is never sent with `Content-Encoding`, because OPA's client would unpack it twice.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from policy_agent import codec
from policy_agent.errors import BundleError
from policy_agent.publisher.bundle_store import BundleStore
from policy_agent.publisher.etag import is_known


def create_app(store: BundleStore) -> Starlette:
    """Return the application: `GET /bundles/<name>[.tar.gz]` and `GET /health`."""

    async def bundle(request: Request) -> Response:
        name = request.path_params["name"]
        stored = store.find(name)
        if stored is None:
            return _error(404, "resource_not_found", f"there is no bundle named {name}")
        # Whoever stands between must ask us each time, or a new revision would arrive late.
        headers = {"ETag": stored.etag, "Cache-Control": "no-cache"}
        if is_known(stored.etag, request.headers.get("If-None-Match")):
            return Response(status_code=304, headers=headers)
        return Response(stored.raw, headers=headers, media_type="application/gzip")

    async def health(_: Request) -> Response:
        return Response(b"{}", media_type="application/json")

    return Starlette(
        routes=[Route("/bundles/{name:path}", bundle), Route("/health", health)],
        exception_handlers={HTTPException: _on_http_error, BundleError: _on_unreadable_bundle},
    )


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
