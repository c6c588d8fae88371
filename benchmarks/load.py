"""Send one request over and over on keep-alive connections and note how long each took."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import uvloop


@dataclass(frozen=True, slots=True)
class Load:
    """What one run measured; latencies in microseconds."""

    latencies_us: list[float]
    seconds: float

    @property
    def per_second(self) -> float:
        """Requests per second over all connections."""
        return len(self.latencies_us) / self.seconds

    def percentile_us(self, percent: float) -> float:
        """Return a percentile of the latencies."""
        ordered = sorted(self.latencies_us)
        return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]


def run_load(
    host: str,
    port: int,
    request: bytes,
    *,
    connections: int,
    seconds: float,
    check: Callable[[bytes], None] | None = None,
) -> Load:
    """Keep `connections` busy for `seconds`; every answer must be 200.

    Args:
        check: looks at the body of each answer.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run((host, port), request, connections, seconds, check))


async def _run(
    address: tuple[str, int],
    request: bytes,
    connections: int,
    seconds: float,
    check: Callable[[bytes], None] | None,
) -> Load:
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    started = time.perf_counter()
    clients = []
    for _ in range(connections):
        _, client = await loop.create_connection(
            lambda: _Client(request, started + seconds, latencies, check), *address
        )
        clients.append(client)
    await asyncio.gather(*(client.finished for client in clients))
    return Load(latencies, time.perf_counter() - started)


class _Client(asyncio.Protocol):
    """Sends the next request as soon as an answer is whole."""

    def __init__(
        self,
        request: bytes,
        deadline: float,
        latencies: list[float],
        check: Callable[[bytes], None] | None,
    ) -> None:
        self._request = request
        self._deadline = deadline
        self._latencies = latencies
        self._check = check
        self._answer = b""
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, separator, body = self._answer.partition(b"\r\n\r\n")
        if not separator or len(body) < _content_length(head):
            return
        now = time.perf_counter()
        if not head.startswith(b"HTTP/1.1 200"):
            self.finished.set_exception(RuntimeError(self._answer.decode("latin-1")))
            return
        if self._check is not None:
            self._check(body)
        self._answer = b""
        self._latencies.append((now - self._sent_at) * 1e6)
        if now < self._deadline:
            self._send()
        else:
            self._transport.close()
            self.finished.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.finished.done():
            self.finished.set_exception(exc or ConnectionResetError("closed by the server"))


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return int(line[15:])
    raise RuntimeError(f"an answer without a length: {head!r}")
