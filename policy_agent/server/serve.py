"""Run the application on sockets that are already listening."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import uvicorn

if TYPE_CHECKING:
    import ssl

# A function keeps its connection across a freeze; closing it first would reset its next call.
KEEP_ALIVE_SECONDS = 3600
DRAIN_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Secure:
    """TLS, and the protocol that knows its clients."""

    context: ssl.SSLContext
    protocol: type[asyncio.Protocol]


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the agent decides when to stop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@contextlib.asynccontextmanager
async def serving(
    app: Callable[..., Any], sockets: list[socket.socket], secure: Secure | None = None
) -> AsyncIterator[None]:
    """Serve `app` on `sockets` while the context is open, then let requests under way finish.

    Args:
        secure: how to serve over TLS; None for plain HTTP.
    """
    config = uvicorn.Config(
        app,
        http=secure.protocol if secure else "httptools",
        ssl_context_factory=(lambda *_: secure.context) if secure else None,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=sockets), name="http server")
    try:
        await server.ready.wait()
        yield
    finally:
        server.should_exit = True
        await task
