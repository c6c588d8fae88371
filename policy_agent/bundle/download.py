"""Ask a service for a bundle once (OPA v1.22 v1/download/download.go)."""

from __future__ import annotations

import http
from dataclasses import dataclass, field
from typing import Final

from policy_agent.bundle.archive import MAX_ARCHIVE_BYTES
from policy_agent.config import BundleSource
from policy_agent.errors import BundleDownloadError, TransportError
from policy_agent.service import ServiceClient

_OK: Final = 200
_NOT_MODIFIED: Final = 304


@dataclass(frozen=True, slots=True)
class Downloaded:
    """The source's current bundle; `etag` is None when it sent none."""

    raw: bytes = field(repr=False)
    etag: str | None


@dataclass(frozen=True, slots=True)
class NotModified:
    """The source's current bundle is the one whose ETag was sent."""


async def download(
    source: BundleSource, client: ServiceClient, etag: str | None, timeout_seconds: float
) -> Downloaded | NotModified:
    """Fetch a bundle unless it still is the one with `etag`.

    Args:
        etag: of the active version; None when there is none, or it came without.
        timeout_seconds: for the whole exchange.

    Raises:
        BundleDownloadError: no answer, or one that is neither 200 nor a 304 to our ETag.
    """
    headers = {"Prefer": "modes=snapshot"}
    if etag:
        headers["If-None-Match"] = etag
    try:
        response = await client.request(
            "GET",
            source.resource,
            headers=headers,
            timeout_seconds=timeout_seconds,
            max_bytes=MAX_ARCHIVE_BYTES,
        )
    except TransportError as exc:
        raise BundleDownloadError(f"request failed: {exc}") from exc
    if response.status == _OK:
        return Downloaded(response.body, response.headers.get("etag") or None)
    if response.status == _NOT_MODIFIED and etag:
        return NotModified()
    raise BundleDownloadError(
        f"server replied with {_phrase(response.status)}", http_code=response.status
    )


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return f"status {status}"
