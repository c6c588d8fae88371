"""Send one HTTP request over a connection of its own; the agent's only way to the outside.

A socket never outlives a call, so none is left half open across a freeze. `http_call` does the
work in a thread; it is imported by the first call, because an agent whose bundle and log are files
needs none of it at Init.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from msgspec import Struct, field

from policy_agent.errors import TransportError
from policy_agent.record import Record

if TYPE_CHECKING:
    import ssl

    from policy_agent.http_call import Call


class Request(Record, frozen=True):
    """One request; `headers` are sent as they are, `body` None means none."""

    unshown: ClassVar[frozenset[str]] = frozenset({"headers", "body"})

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


class Response(Struct, frozen=True):
    """A whole answer; header names are lower case."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


class Received:
    """What has arrived of an answer, for when the rest never does.

    Attributes:
        answer: status and headers, without the body; None before they are there.
    """

    def __init__(self) -> None:
        self.answer: Response | None = None
        self._pieces: list[bytes] = []

    @property
    def body(self) -> bytes:
        """The body so far."""
        return b"".join(self._pieces)

    def begin(self, answer: Response) -> None:
        """Note a new answer; what came before was a redirect."""
        self.answer = answer
        self._pieces = []

    def add(self, piece: bytes) -> None:
        """Note the next piece of the body."""
        self._pieces.append(piece)


class Limits(Struct, frozen=True):
    """What one call may take.

    Attributes:
        timeout_seconds: for everything together, redirects and body included.
        max_bytes: the largest body to accept.
        answer_timeout_seconds: for each connection, and until each answer begins.
    """

    timeout_seconds: float
    max_bytes: int
    answer_timeout_seconds: float = math.inf


async def send(
    request: Request,
    limits: Limits,
    *,
    tls: ssl.SSLContext | None = None,
    received: Received | None = None,
) -> Response:
    """Send `request` and read the whole answer.

    Args:
        tls: for https; the system's trust store when None.
        received: told of the answer as it arrives.

    Raises:
        TransportError: no connection, a cut or malformed answer, a timeout, a body that is too
            large, or a redirect that cannot be followed.
    """
    timeout_seconds = limits.timeout_seconds
    try:
        async with asyncio.timeout(timeout_seconds):
            call = await asyncio.to_thread(_prepare, limits, tls, received or Received())
            try:
                return await asyncio.to_thread(call.run, request)
            finally:
                call.abort()
    except TimeoutError as exc:
        msg = f"{host_of(request.url)} did not answer within {timeout_seconds:g} s"
        raise TransportError(msg) from exc


def host_of(url: str) -> str:
    """Return host and port of a URL, without credentials."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _prepare(limits: Limits, tls: ssl.SSLContext | None, received: Received) -> Call:
    from policy_agent.http_call import Call

    return Call(limits, tls, received)
