"""Serve an application on sockets that are already listening."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from policy_agent.server.protocol import HEAD_SECONDS, Application, Connections, HttpProtocol

if TYPE_CHECKING:
    import ssl

BACKLOG: Final = 512  # asyncio would make it 100
DRAIN_SECONDS: Final = 5
KEEP_ALIVE_SECONDS: Final = 15  # Go's defaultTCPKeepAliveIdle and -Interval


class Secure(Struct, frozen=True):
    """How to serve over TLS.

    Attributes:
        identify: a client's certificate in DER -> what the application is told of the client.
    """

    context: ssl.SSLContext
    identify: Callable[[bytes], Any]


@contextlib.asynccontextmanager
async def serving(
    app: Application, sockets: list[socket.socket], secure: Secure | None = None
) -> AsyncIterator[None]:
    """Serve `app` while the context is open, then let requests under way finish.

    Connections are never closed for being idle between requests: a function keeps its own across a
    freeze, and one that is closed first would reset its next call. Those whose client is gone
    without a word are found out by the kernel.

    Args:
        secure: how to serve over TLS; None for plain HTTP.
    """
    connections = Connections()
    identify = secure.identify if secure else None
    context = secure.context if secure else None

    def connected() -> HttpProtocol:
        return HttpProtocol(app, connections, identify)

    servers = [await _listen(connected, each, context) for each in sockets]
    overdue = asyncio.create_task(_close_overdue(connections), name="overdue connections")
    try:
        yield
    finally:
        overdue.cancel()
        for server in servers:
            server.close()
        await connections.drain(DRAIN_SECONDS)


async def _close_overdue(connections: Connections) -> None:
    while True:
        await asyncio.sleep(HEAD_SECONDS / 4)
        connections.close_overdue(asyncio.get_running_loop().time())


async def _listen(
    connected: Callable[[], HttpProtocol], listener: socket.socket, tls: ssl.SSLContext | None
) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    if listener.family == socket.AF_UNIX:
        return await loop.create_unix_server(connected, sock=listener, ssl=tls, backlog=BACKLOG)
    # Connections inherit these from the listening socket.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEP_ALIVE_SECONDS)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEP_ALIVE_SECONDS)
    return await loop.create_server(connected, sock=listener, ssl=tls, backlog=BACKLOG)
