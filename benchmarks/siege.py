"""Keep asking for decisions while clients of every bad kind besiege the agent.

One connection asks without a pause, first undisturbed, then under each siege: idle keep-alive
connections by the thousand, heads that come byte by byte, connections cut or reset, bodies at the
limits, and what is no HTTP. Each answer is checked. What counts is how much the p99 grows; the
besiegers are a process of their own, but share the machine, so part of that is theirs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import random
import resource
import socket
import statistics
import struct
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast

from benchmarks.__main__ import QUESTION
from benchmarks.contenders import Running, contenders, find_opa
from benchmarks.stage import stage

PATH = "/v1/data/orders/authz/decision"
PAUSE_SECONDS = 0.05
Siege = Callable[[int, "Signals"], Awaitable[None]]


def main() -> int:
    """Run every siege and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.siege", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each siege")
    parser.add_argument("--idle", type=int, default=10_000, help="idle connections")
    arguments = parser.parse_args()
    allow_files(arguments.idle + 2000)
    with stage() as ready:
        for rival in contenders(ready.work, ready.bundle, ready.receiver_url, find_opa()):
            server = Running(rival, ready.work)
            try:
                besiege(server, arguments.seconds, arguments.idle)
            finally:
                server.stop()
    return 0


def allow_files(wanted: int) -> None:
    """Let this process and those it starts open so many files, as far as the system lets them."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, most))


class Signals:
    """Between the besiegers and who asks; both sides look at them."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.is_up = context.Event()
        self._is_over = context.Event()

    def up(self) -> None:
        """Say that the siege is as it will be."""
        self.is_up.set()

    def end(self) -> None:
        """End the siege."""
        self._is_over.set()

    def is_over(self) -> bool:
        """Whether it shall end."""
        return self._is_over.is_set()

    async def over(self) -> None:
        """Wait for the end."""
        while not self.is_over():  # noqa: ASYNC110 - another process says so
            await asyncio.sleep(PAUSE_SECONDS)


def besiege(server: Running, seconds: float, idle_count: int) -> None:
    """Print how long decisions took, undisturbed and under each siege."""
    port = server.contender.port
    sieges: dict[str, Siege] = {
        "undisturbed": nobody,
        f"{idle_count:,} idle connections": partial(idle, idle_count),
        "heads byte by byte": slow_heads,
        "cut and reset connections": resets,
        "bodies of 1 MB": large_bodies,
        "no HTTP": noise,
    }
    print(f"{server.contender.name}\n{'':28}{'p50, us':>10}{'p99, us':>10}{'answers':>10}{'MB':>8}")
    for name, siege in sieges.items():
        signals = Signals()
        attack = multiprocessing.get_context("spawn").Process(
            target=run_siege, args=(siege, port, signals)
        )
        attack.start()
        signals.is_up.wait()
        latencies = asyncio.run(ask(port, seconds))
        signals.end()
        attack.join()
        cuts = statistics.quantiles(latencies, n=100)
        figures = f"{cuts[49]:10.0f}{cuts[98]:10.0f}{len(latencies):10,}"
        print(f"{name:28}{figures}{server.memory_mb():8.0f}", flush=True)


def run_siege(siege: Siege, port: int, signals: Signals) -> None:
    """Run a siege; what becomes of its own connections does not matter."""
    try:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            asyncio.run(cast("Any", siege(port, signals)))
    finally:
        signals.up()


async def ask(port: int, seconds: float) -> list[float]:
    """Return how many microseconds each decision took on one connection; all must be right."""
    body = json.dumps(QUESTION).encode()
    head = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    latencies = []
    end = time.perf_counter() + seconds
    while (started := time.perf_counter()) < end:
        writer.write(head + body)
        answer = await reader.readuntil(b"}\n")
        latencies.append((time.perf_counter() - started) * 1e6)
        assert b'"allow":true' in answer, answer
    writer.close()
    return latencies


async def nobody(port: int, signals: Signals) -> None:
    """Do nothing."""
    signals.up()
    await signals.over()


async def idle(count: int, port: int, signals: Signals) -> None:
    """Ask once on each of many connections, then keep them open."""
    writers = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(writer)
        writer.write(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"{}\n")
    signals.up()
    await signals.over()
    for writer in writers:
        writer.close()


async def slow_heads(port: int, signals: Signals) -> None:
    """Send requests of five hundred connections byte by byte (slow loris)."""
    head = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nX-Padding: {'x' * 4096}".encode()
    writers = [(await asyncio.open_connection("127.0.0.1", port))[1] for _ in range(500)]
    signals.up()
    for position in range(len(head)):
        for writer in writers:
            writer.write(head[position : position + 1])
        await asyncio.sleep(PAUSE_SECONDS)
        if signals.is_over():
            break
    for writer in writers:
        writer.close()


async def resets(port: int, signals: Signals) -> None:
    """Open connections, ask half or all of a question, and reset them."""
    linger = struct.pack("ii", 1, 0)
    body = json.dumps(QUESTION).encode()
    whole = (
        f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    )
    signals.up()
    while not signals.is_over():
        for _ in range(20):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(whole[: random.randint(1, len(whole))])  # noqa: S311
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        await asyncio.sleep(PAUSE_SECONDS)


async def large_bodies(port: int, signals: Signals) -> None:
    """Send bodies of a megabyte, and announce some that are far over any limit."""
    body = json.dumps({"input": {"padding": "x" * (1 << 20)}}).encode()
    head = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    too_much = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: {1 << 40}\r\n\r\n".encode()
    signals.up()
    while not signals.is_over():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + body)
        await reader.readuntil(b"}\n")
        writer.write(too_much)
        await reader.readuntil(b"max_length)")
        writer.close()
        await asyncio.sleep(PAUSE_SECONDS)


async def noise(port: int, signals: Signals) -> None:
    """Send random bytes."""
    signals.up()
    while not signals.is_over():
        for _ in range(20):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(random.randbytes(300))  # noqa: S311
            writer.close()
        await asyncio.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
