"""Where one bundle is downloaded from, in order: its resource, then its mirrors.

Each is asked only when those before it do not deliver a bundle that can be read. An ETag is sent
only to the origin that it came from: another's equal ETag need not mean equal bytes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, MutableMapping, Sequence

from msgspec import Struct

from policy_agent.bundle.download import HttpOrigin, NotModified, Origin
from policy_agent.config import BundleSource, Service
from policy_agent.errors import BundleDeltaError, BundleDownloadError, BundleError
from policy_agent.model import Bundle
from policy_agent.service import ServiceClient
from policy_agent.status import SourceStatus

log = logging.getLogger(__name__)

Read = Callable[[bytes, str | None], Bundle]
Clients = MutableMapping[str, ServiceClient]


class Answer(Struct, frozen=True):
    """What an origin answered.

    Attributes:
        bundle: None when the version confirmed last is still the newest.
        etag: of the newest version at `origin`.
    """

    bundle: Bundle | None
    origin: Origin
    etag: str | None
    status: SourceStatus


class Origins:
    """The origins of one bundle; there is at least one."""

    def __init__(self, name: str, origins: Sequence[Origin]) -> None:
        self._name = name
        self._first, *self._mirrors = origins
        self._confirmed: tuple[Origin, str | None] = (self._first, None)

    @property
    def long_polls(self) -> bool:
        """Whether the first origin holds requests back until there is news."""
        return self._first.long_polls

    @property
    def first_url(self) -> str:
        """The first origin's URL, which an ETag belongs to."""
        return self._first.url

    @property
    def first_etag(self) -> str | None:
        """The active version's ETag at the first origin, None when it came from another."""
        origin, etag = self._confirmed
        return etag if origin is self._first else None

    def restored(self, etag: str | None, status: SourceStatus) -> Answer:
        """Return what the first origin once answered, as a copy on disk remembers it."""
        return Answer(None, self._first, etag, status)

    def confirm(self, answer: Answer) -> None:
        """Note that the active version is the one that `answer` is about."""
        self._confirmed = (answer.origin, answer.etag)

    async def fetch(self, read: Read, timeout_seconds: float, wait_seconds: int = 0) -> Answer:
        """Return what the first usable origin answers.

        Args:
            read: archive and ETag -> checked bundle; runs in a worker thread.
            timeout_seconds: for all origins, which share it evenly.
            wait_seconds: how long the first origin may wait for news.

        Raises:
            BundleError: none delivered a bundle that can be read; the first origin's error, with
                those of the mirrors in its message.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + timeout_seconds
        mirrors = list(self._mirrors)
        share = timeout_seconds / (1 + len(mirrors))
        try:
            return await self._ask(self._first, read, share, wait_seconds=wait_seconds)
        except BundleError as exc:
            first = exc
        reasons = [str(first)]
        while mirrors:
            share = max(deadline - clock(), 0.001) / len(mirrors)
            mirror = mirrors.pop(0)
            try:
                answer = await self._ask(mirror, read, share, reason=reasons[0])
            except BundleError as exc:
                reasons.append(f"mirror {mirror.shown_url}: {exc}")
            else:
                log.warning("bundle %s: from a mirror: %s", self._name, "; ".join(reasons))
                return answer
        raise _with_message(first, "; ".join(reasons))

    async def _ask(
        self,
        origin: Origin,
        read: Read,
        timeout_seconds: float,
        *,
        wait_seconds: int = 0,
        reason: str = "",
    ) -> Answer:
        confirmed_by, etag = self._confirmed
        known = etag if origin is confirmed_by else None
        answer = await origin.fetch(known, timeout_seconds, wait_seconds)
        status = SourceStatus(
            "remote" if origin is self._first else "mirror", origin.shown_url, reason
        )
        if isinstance(answer, NotModified):
            return Answer(None, origin, known, status)
        try:
            bundle = await asyncio.to_thread(read, answer.raw, answer.etag)
        except BundleDeltaError:
            # Without an ETag a snapshot is asked for.
            self._confirmed = (origin, None)
            raise
        return Answer(bundle, origin, answer.etag, status)


def origins_of(source: BundleSource, clients: Clients) -> Origins | None:
    """Return where a bundle is downloaded from, None for a local file.

    Args:
        clients: by service name; those that are missing are added.
    """
    if source.service is None:
        return None
    first = _origin(source.service, source.resource, clients, bool(source.long_poll_seconds))
    mirrors = [_origin(mirror.service, mirror.resource, clients) for mirror in source.mirrors]
    return Origins(source.name, [first, *mirrors])


def _origin(service: Service, resource: str, clients: Clients, long_polls: bool = False) -> Origin:
    client = clients.setdefault(service.name, ServiceClient(service))
    if service.is_registry:
        # Most agents have no registry to ask.
        from policy_agent.bundle.oci import OciOrigin

        return OciOrigin(client, resource)
    return HttpOrigin(client, resource, long_polls=long_polls)


def _with_message(error: BundleError, message: str) -> BundleError:
    if isinstance(error, BundleDownloadError):
        return BundleDownloadError(message, http_code=error.http_code)
    return type(error)(message)
