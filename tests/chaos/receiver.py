"""A proxy before the audit store that fails in every way a receiver can."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import time
from collections import Counter
from pathlib import Path

import httpx

OK = "ok"
FAULTS = ("refuse", "hang", "500", "413", "slow", "cut")
LARGEST_BODY = 1500  # where it answers 413; an entry alone is smaller
_HANG_SECONDS = 30


class FaultyReceiver:
    """Passes batches on to the store, or fails as `mode` says.

    Attributes:
        mode: `ok`, or one of `FAULTS`.
        failed_at: when it last failed a batch or could have (monotonic).
        seen: how many requests met each mode.
    """

    def __init__(self, store_url: str, log: Path) -> None:
        self.mode = OK
        self.failed_at = 0.0
        self.seen: Counter[str] = Counter()
        self.port = 0
        self._log = log
        self._client = httpx.AsyncClient(base_url=store_url, timeout=60)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen; the port stays the same from then on."""
        self._server = await asyncio.start_server(self._take, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def switch(self, mode: str) -> None:
        """Behave differently from now on; what hangs is let go."""
        if self.mode != OK:
            self.failed_at = time.monotonic()
        self.mode = mode
        for task in self._open:
            task.cancel()
        if mode == "refuse" and self._server is not None:
            self._server.close()
            self._server = None
        elif mode != "refuse" and self._server is None:
            await self.start()

    def failed_within(self, seconds: float) -> bool:
        """Whether it fails now or did so within the last `seconds`."""
        return self.mode != OK or time.monotonic() - self.failed_at < seconds

    async def close(self) -> None:
        """Stop listening."""
        await self.switch(OK)
        if self._server is not None:
            self._server.close()
        await self._client.aclose()

    def _note(self, mode: str, status: int, body: bytes) -> None:
        ids = [event["decision_id"] for event in json.loads(gzip.decompress(body))]
        with self._log.open("a") as file:
            file.write(f"{time.time():.3f} {mode} {status} {' '.join(ids)}\n")

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await self._answer(reader, writer)
        except (asyncio.CancelledError, asyncio.IncompleteReadError, OSError, httpx.HTTPError):
            writer.transport.abort()
        finally:
            self._open.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        mode = self.mode
        self.seen[mode] += 1
        if mode == "hang":
            await asyncio.sleep(_HANG_SECONDS)
        if mode == "slow":
            await asyncio.sleep(0.4)
        status = 200
        if mode == "500" or (mode == "413" and len(body) > LARGEST_BODY):
            status = int(mode)
        if status == 200:
            # Shielded: a request that is cut off may well have been stored.
            headers = {"Content-Encoding": "gzip"}
            stored = self._client.post("/logs", content=body, headers=headers)
            status = (await asyncio.shield(asyncio.ensure_future(stored))).status_code
        self._note(mode, status, body)
        answer = b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\n{}" % status
        writer.write(answer[:20] if mode == "cut" else answer)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
