"""Read a process's output line by line from a pipe of our own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

_MAX_LINE_BYTES = 1 << 18  # Lambda cuts log lines at 256 KiB
_END_SECONDS = 0.2  # a child that escaped the group may hold the pipe open for ever


class LineReader(asyncio.Protocol):
    """Calls a function with each line; made by `open`."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._rest = b""
        self._ended = asyncio.Event()
        self._transport: asyncio.BaseTransport | None = None

    @classmethod
    async def open(cls, on_line: Callable[[str], None]) -> tuple[LineReader, int]:
        """Return a reader and the file descriptor to write to, which the caller closes."""
        reader_fd, writer_fd = os.pipe()
        loop = asyncio.get_running_loop()
        pipe = os.fdopen(reader_fd, "rb", buffering=0)
        _, reader = await loop.connect_read_pipe(lambda: cls(on_line), pipe)
        return reader, writer_fd

    async def finish(self) -> None:
        """Read what is left and close the pipe."""
        try:
            async with asyncio.timeout(_END_SECONDS):
                await self._ended.wait()
        except TimeoutError:
            pass
        finally:
            if self._transport is not None:
                self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, to close it."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Pass on every whole line."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _MAX_LINE_BYTES:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            self._on_line(line.decode("utf-8", "replace"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on a last line without line end."""
        if self._rest:
            self._on_line(self._rest.decode("utf-8", "replace"))
            self._rest = b""
        self._ended.set()
