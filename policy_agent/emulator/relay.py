"""A TCP relay whose connections freeze with an environment, as its network does on Lambda.

A stopped process's sockets are still served by the kernel: it takes what the peer sends and answers
that the peer has closed. Through a relay nothing passes while the environment is frozen, and
afterwards the connections that were open go on, are reset, or stay silent for ever, as they are
where a middlebox has forgotten them.

    async with Relay("127.0.0.1", port, on_thaw="silence") as relay:
        variables = {"URL": f"http://{relay.address}"}
        settings = LambdaSettings(..., environment=variables, relays=(relay,))
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from types import TracebackType
from typing import Literal, Self

READ_BYTES = 65536
OnThaw = Literal["continue", "reset", "silence"]
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST


class Relay:
    """Passes bytes between those who connect to `address` and one peer.

    Attributes:
        connections: how many were made so far.
    """

    def __init__(self, host: str, port: int, *, on_thaw: OnThaw = "continue") -> None:
        """Prepare to relay to a peer.

        Args:
            on_thaw: what becomes of connections that were open while frozen.
        """
        self.connections = 0
        self._peer = (host, port)
        self._on_thaw = on_thaw
        self._running = asyncio.Event()
        self._running.set()
        self._open: set[_Connection] = set()
        self._server: asyncio.Server

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()
        for connection in list(self._open):
            connection.task.cancel()
        await asyncio.gather(*(each.task for each in self._open), return_exceptions=True)

    @property
    def address(self) -> str:
        """Return `host:port` to connect to."""
        host, port = self._server.sockets[0].getsockname()
        return f"{host}:{port}"

    def freeze(self) -> None:
        """Let nothing pass; new connections wait."""
        self._running.clear()

    def thaw(self) -> None:
        """Let everything pass again, but for what `on_thaw` says of old connections."""
        for connection in self._open:
            if self._on_thaw == "reset":
                connection.reset()
            elif self._on_thaw == "silence":
                connection.passing = asyncio.Event()
        self._running.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connection = _Connection(task, self._running, writer)
        self._open.add(connection)
        self.connections += 1
        try:
            await connection.relay(reader, self._peer)
        except (OSError, asyncio.CancelledError):
            pass  # the peer is not there, or it was reset: over for both sides
        finally:
            self._open.discard(connection)
            connection.close()


class _Connection:
    """One connection; `passing` is what its bytes wait for."""

    def __init__(
        self, task: asyncio.Task[None], passing: asyncio.Event, writer: asyncio.StreamWriter
    ) -> None:
        self.task = task
        self.passing = passing
        self._writers = [writer]

    async def relay(self, reader: asyncio.StreamReader, peer: tuple[str, int]) -> None:
        await self._may_pass()
        peer_reader, peer_writer = await asyncio.open_connection(*peer)
        self._writers.append(peer_writer)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._pump(reader, peer_writer))
            tasks.create_task(self._pump(peer_reader, self._writers[0]))

    def reset(self) -> None:
        for writer in self._writers:
            sock: socket.socket = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.task.cancel()

    def close(self) -> None:
        for writer in self._writers:
            writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(READ_BYTES):
                await self._may_pass()
                writer.write(chunk)
                await writer.drain()
            await self._may_pass()
            writer.write_eof()
        except OSError:
            self.close()  # which ends the other direction, too

    async def _may_pass(self) -> None:
        # Silenced while it waits, a connection waits on for something that never comes.
        while not self.passing.is_set():
            await self.passing.wait()
