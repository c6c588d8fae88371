"""A proxy before a receiver that now and then has too much to do: 429, 503, or a slow answer.

Prints its URL, and on SIGTERM how many requests met each of these.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import time
from collections import Counter
from urllib.parse import urlsplit

# (what requests meet, for how many seconds), again and again: half of the time all is well.
CYCLE = (("ok", 2.0), ("429", 1.0), ("slow", 1.0), ("ok", 1.0), ("503", 1.0))
SLOW_SECONDS = 2.0
LENGTH = b"content-length:"


def mode_at(seconds: float) -> str:
    """Return what a request meets so long after the start."""
    seconds %= sum(length for _, length in CYCLE)
    for mode, length in CYCLE:
        seconds -= length
        if seconds < 0:
            return mode
    return CYCLE[-1][0]


class Proxy:
    """Takes a request a connection, as the agent makes them."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = parts.hostname or "", parts.port or 80
        self._started = time.monotonic()
        self.seen: Counter[str] = Counter()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Refuse, or pass the request on and its answer back."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(LENGTH)[2].split(b"\r\n")[0])
            request = head + await reader.readexactly(length)
            mode = mode_at(time.monotonic() - self._started)
            self.seen[mode] += 1
            if mode in ("429", "503"):
                writer.write(b"HTTP/1.1 %b X\r\nContent-Length: 0\r\n\r\n" % mode.encode())
            else:
                await asyncio.sleep(SLOW_SECONDS if mode == "slow" else 0)
                writer.write(await self._passed_on(request))
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            writer.transport.abort()
        finally:
            writer.close()

    async def _passed_on(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(*self._target)
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(LENGTH)[2].split(b"\r\n")[0])
            return head + await reader.readexactly(length)
        finally:
            writer.close()


async def serve(url: str) -> None:
    """Serve until SIGTERM."""
    proxy = Proxy(url)
    server = await asyncio.start_server(proxy.take, "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    print(json.dumps(proxy.seen), flush=True)


def main() -> int:
    """Serve."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pressure", description=__doc__)
    parser.add_argument("--url", required=True, help="of the receiver")
    asyncio.run(serve(parser.parse_args().url))
    return 0


if __name__ == "__main__":
    sys.exit(main())
