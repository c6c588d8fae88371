"""Receive platform telemetry and remember which invocations the runtime has finished.

Listens on a port of its own, because Lambda posts to an address that is not loopback. A post is
answered at once: a slow receiver makes the platform drop events.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections import deque
from typing import Any, cast

import httptools

from policy_agent.codec import decode_json
from policy_agent.errors import DocumentError

log = logging.getLogger(__name__)

SANDBOX_HOST = "sandbox.localdomain"
MAX_POST_BYTES = 4 << 20  # batches reach twice maxBytes and their envelope
REMEMBERED = 64  # finished requests; one would do, but batches may be late or repeated
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_TOO_LARGE = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class FinishedRequests:
    """The request ids of `platform.runtimeDone` events, most recent last.

    Attributes:
        count: of all that have ever come.
    """

    def __init__(self) -> None:
        self.count = 0
        self._ids: deque[str] = deque(maxlen=REMEMBERED)
        self._arrived = asyncio.Event()

    def add_events(self, events: Any) -> None:
        """Take one telemetry batch; whatever is not a runtimeDone is ignored."""
        for event in events if isinstance(events, list) else ():
            if isinstance(event, dict) and event.get("type") == "platform.runtimeDone":
                record = event.get("record")
                if isinstance(record, dict):
                    self._ids.append(str(record.get("requestId", "")))
                    self.count += 1
                    self._arrived.set()

    async def wait(self, request_id: str, timeout_seconds: float) -> bool:
        """Wait until the runtime has finished a request; False when it has not in time."""
        try:
            async with asyncio.timeout(max(timeout_seconds, 0)):
                while request_id not in self._ids:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            return False
        return True


class TelemetryListener:
    """An HTTP server that hands every posted batch to `finished`."""

    def __init__(self, finished: FinishedRequests) -> None:
        self._finished = finished
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen on a free port and return it.

        Raises:
            OSError: no port could be bound.
        """
        loop = asyncio.get_running_loop()
        host = await _sandbox_address(loop)
        self._server = await loop.create_server(lambda: _Receiver(self._finished), host, 0)
        return int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()


async def _sandbox_address(loop: asyncio.AbstractEventLoop) -> str:
    # On Lambda the name resolves to a link-local address; elsewhere it does not resolve.
    with contextlib.suppress(OSError):
        infos = await loop.getaddrinfo(SANDBOX_HOST, None, family=socket.AF_INET)
        return str(infos[0][4][0])
    return "127.0.0.1"


class _Receiver(asyncio.Protocol):
    def __init__(self, finished: FinishedRequests) -> None:
        self._finished = finished
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def on_body(self, body: bytes) -> None:
        self._body += body
        if len(self._body) > MAX_POST_BYTES:
            self._transport.write(_TOO_LARGE)
            self._transport.close()
            self._body = b""

    def on_message_complete(self) -> None:
        body, self._body = self._body, b""
        self._transport.write(_ANSWER)
        with contextlib.suppress(DocumentError):
            self._finished.add_events(decode_json(body))
