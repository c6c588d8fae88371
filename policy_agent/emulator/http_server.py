"""Serve the emulated APIs with uvicorn on a socket of our own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from policy_agent.errors import EmulatorError

_KEEP_ALIVE_SECONDS = 24 * 3600  # Lambda's API does not close idle connections
_CLOSE_SECONDS = 1


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers and without its polling, which makes closing slow."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.stop = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to whoever owns the event loop."""
        yield

    async def main_loop(self) -> None:
        """Wait for `stop`."""
        await self.stop.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close every connection; calls that are being answered may finish."""
        for listener in self.servers:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=_CLOSE_SECONDS)


class ApiServer:
    """The HTTP server of one environment."""

    def __init__(self, host: str, routes: Sequence[Route]) -> None:
        """Bind a free port of `host`.

        Raises:
            EmulatorError: the address is not one of this machine's.
        """
        # asyncio switches Nagle's algorithm off only where the protocol is named; with it on, each
        # answer to the runtime takes 40 ms.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            self._socket.bind((host, 0))
            self._socket.listen()
        except OSError as exc:
            self._socket.close()
            msg = f"{host}: cannot listen there: {exc.strerror}"
            raise EmulatorError(msg) from exc
        application = Starlette(routes=routes, exception_handlers={405: _wrong_verb})
        config = uvicorn.Config(
            application,
            log_config=None,
            lifespan="off",
            access_log=False,
            ws="none",
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        )
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """Return `host:port`, the value of AWS_LAMBDA_RUNTIME_API."""
        host, port = self._socket.getsockname()
        return f"{host}:{port}"

    def start(self) -> None:
        """Begin to answer; calls made before wait in the backlog."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))

    async def close(self) -> None:
        """Stop answering and close the socket."""
        self._server.stop.set()
        if self._task is not None:
            await self._task
        self._socket.close()


def _wrong_verb(_request: Request, _exc: Exception) -> Response:
    return Response(status_code=405)
