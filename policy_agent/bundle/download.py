"""Ask a service for a bundle once (OPA v1.22 v1/download/download.go).

Beyond OPA: a download that was cut, by the network or by a freeze, is taken up where it ended
(RFC 9110, Range and If-Range), provided that the server still has the same bytes.
"""

from __future__ import annotations

import http
import re
from collections.abc import Mapping
from typing import ClassVar, Final, Protocol
from urllib.parse import urlsplit

from msgspec import Struct

from policy_agent.bundle.archive import MAX_ARCHIVE_BYTES
from policy_agent.errors import BundleDownloadError, TransportError
from policy_agent.http_client import Limits, Received, Request, Response
from policy_agent.record import Record

LONG_POLL_TYPE: Final = "application/vnd.openpolicyagent.bundles"
_OK: Final = 200
_PARTIAL: Final = 206
_NOT_MODIFIED: Final = 304
_RANGE_NOT_SATISFIABLE: Final = 416
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(\d+)")


class Downloaded(Record, frozen=True):
    """The source's current bundle; `etag` is None when it sent none."""

    unshown: ClassVar[frozenset[str]] = frozenset({"raw"})

    raw: bytes
    etag: str | None


class NotModified(Struct, frozen=True):
    """The source's current bundle is the one whose ETag was sent."""


class Origin(Protocol):
    """One place that a bundle can be downloaded from."""

    @property
    def url(self) -> str:
        """Where that is."""

    @property
    def shown_url(self) -> str:
        """Where that is, without what may be secret: user, password and query."""

    @property
    def long_polls(self) -> bool:
        """Whether the origin holds requests back until there is news."""

    async def fetch(
        self, etag: str | None, timeout_seconds: float, wait_seconds: int = 0
    ) -> Downloaded | NotModified:
        """Fetch the bundle unless it still is the one with `etag`.

        Args:
            etag: of the active version, when it came from here; else None.
            timeout_seconds: for the whole exchange.
            wait_seconds: how long the origin may hold the request back until there is news.

        Raises:
            BundleDownloadError: it was not delivered.
        """


class Client(Protocol):
    """What sends requests to a service."""

    @property
    def timeout_seconds(self) -> float:
        """How long until an answer has to begin."""

    def url_of(self, resource: str) -> str:
        """Return the URL of a resource."""

    async def send(
        self, request: Request, limits: Limits, received: Received | None = None
    ) -> Response:
        """Send one request, or raise TransportError."""


class _Partial(Record, frozen=True):
    """The beginning of a bundle whose rest did not arrive.

    Attributes:
        known: the ETag that was sent; to another one the same version may be another delta.
    """

    unshown: ClassVar[frozenset[str]] = frozenset({"raw"})

    etag: str
    raw: bytes
    known: str | None = None


class HttpOrigin:
    """A bundle below a service's URL."""

    def __init__(self, client: Client, resource: str, *, long_polls: bool = False) -> None:
        self._client = client
        self.url = client.url_of(resource)
        self._partial: _Partial | None = None
        self.shown_url = _without_secrets(self.url)
        self.long_polls = long_polls

    async def fetch(
        self, etag: str | None, timeout_seconds: float, wait_seconds: int = 0
    ) -> Downloaded | NotModified:
        """Fetch the bundle unless it still is the one with `etag`.

        Raises:
            BundleDownloadError: no whole answer, or one that is neither 200 nor a 304 to our ETag.
        """
        started, received = self._partial, Received()
        self._partial = None
        if started and started.known != etag:
            started = None
        limits = Limits(
            timeout_seconds,
            MAX_ARCHIVE_BYTES - (len(started.raw) if started else 0),
            self._client.timeout_seconds + wait_seconds,
        )
        try:
            response = await self._client.send(
                Request("GET", self.url, _headers(etag, started, wait_seconds)), limits, received
            )
        except TransportError as exc:
            self._partial = _rest_pending(etag, started, received)
            raise BundleDownloadError(f"request failed: {exc}") from exc
        except BaseException:
            # Cancelled: the sandbox is about to freeze, and memory survives that.
            self._partial = _rest_pending(etag, started, received)
            raise
        return self._judged(response, etag, started)

    def _judged(
        self, response: Response, etag: str | None, started: _Partial | None
    ) -> Downloaded | NotModified:
        if response.status == _NOT_MODIFIED and etag:
            return NotModified()
        raw = _whole(response, started)
        if raw is None:
            raise BundleDownloadError(
                f"server replied with {_phrase(response.status)}", http_code=response.status
            )
        content_type = response.headers.get("content-type", "").partition(";")[0].strip()
        if content_type == "text/html":
            raise BundleDownloadError(
                "server replied with an HTML page: is it the right URL, does it ask for a login?",
                http_code=response.status,
            )
        self.long_polls = self.long_polls and content_type == LONG_POLL_TYPE
        return Downloaded(raw, response.headers.get("etag") or None)


def _without_secrets(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _headers(etag: str | None, started: _Partial | None, wait_seconds: int) -> dict[str, str]:
    wait = f";wait={wait_seconds}" if wait_seconds else ""
    # A delta leads on from the version that the ETag names.
    modes = "snapshot,delta" if etag else "snapshot"
    headers = {"Prefer": f"modes={modes}{wait}"}
    if etag:
        headers["If-None-Match"] = etag
    if started:
        headers |= {"Range": f"bytes={len(started.raw)}-", "If-Range": started.etag}
    return headers


def _whole(response: Response, started: _Partial | None) -> bytes | None:
    """Return the bundle's bytes, None when the answer does not give them."""
    if response.status == _OK:
        return response.body
    if started and response.status == _PARTIAL and _continues(response.headers, started):
        raw = started.raw + response.body
        size = _CONTENT_RANGE.fullmatch(response.headers["content-range"])
        return raw if size and len(raw) == int(size[2]) else None
    return None


def _rest_pending(
    known: str | None, started: _Partial | None, received: Received
) -> _Partial | None:
    """Return what can be taken up later, after an exchange that came to no end."""
    answer = received.answer
    if answer is None:
        return started
    if started and answer.status == _PARTIAL and _continues(answer.headers, started):
        return _Partial(started.etag, started.raw + received.body, known)
    etag = answer.headers.get("etag", "")
    # Only a strong ETag names bytes (RFC 9110, 13.1.5); `none` says that ranges are no use.
    is_strong = etag.startswith('"') and answer.headers.get("accept-ranges") != "none"
    if answer.status == _OK and is_strong and received.body:
        return _Partial(etag, received.body, known)
    return None


def _continues(headers: Mapping[str, str], started: _Partial) -> bool:
    match = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
    return bool(match) and int(match[1]) == len(started.raw)  # type: ignore[index]


def _phrase(status: int) -> str:
    if status in (_PARTIAL, _RANGE_NOT_SATISFIABLE):
        return "another part of the bundle than was asked for; it is fetched anew"
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return f"status {status}"
