"""Compare a thousand decisions in one call with a thousand calls, on the sample bundle.

All are recorded either way. Calls are made as a function would make them, with the agent's client,
and as fast as any client could, with ready bytes on one connection. Rounds are interleaved and the
minimums compared, because a shared machine only ever adds time.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.__main__ import QUESTION, ROOT
from benchmarks.contenders import AGENT, Running, contenders

PATH = "orders/authz/decision"
COUNT = 1000


def main() -> int:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="policy-agent-bench-") as directory:
        work = Path(directory)
        bundle = work / "orders.tar.gz"
        source = str(ROOT / "bundles" / "orders")
        build = [*AGENT, "build", source, "--ignore", "*_test.rego", "-o", str(bundle)]
        subprocess.run([*build, "-r", "bench"], check=True)
        command = [sys.executable, "-m", "benchmarks.receiver"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as receiver:
            assert receiver.stdout is not None
            url = f"http://127.0.0.1:{receiver.stdout.readline().strip()}"
            agent = Running(contenders(work, bundle, url, None)[0], work)
            try:
                compare(agent.contender.port, rounds)
            finally:
                agent.stop()
                receiver.terminate()
    return 0


def compare(port: int, rounds: int) -> None:
    """Measure each way and print a line for it."""
    ways: dict[str, Callable[[int], None]] = {
        "one batch": batch,
        "1,000 calls, ready bytes": ready_bytes,
        "1,000 calls, the client": with_client,
    }
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            way(port)
            best[name] = min(best[name], time.perf_counter() - started)
    for name, seconds in best.items():
        ratio = best["one batch"] / seconds
        print(f"{name:<26} {seconds * 1000:8.1f} ms   the batch takes {ratio:.2f} of it")


def batch(port: int) -> None:
    """Ask for everything in one call."""
    inputs: dict[str, dict[str, str]] = {str(number): {} for number in range(COUNT)}
    body = json.dumps({"inputs": inputs, "common_input": QUESTION["input"]})
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("POST", f"/v1/batch/data/{PATH}", body)
    responses = json.loads(connection.getresponse().read())["responses"]
    connection.close()
    assert len(responses) == COUNT
    assert all("result" in each for each in responses.values())


def ready_bytes(port: int) -> None:
    """Send the same bytes again and again on one connection, and look for the result."""
    body = json.dumps(QUESTION).encode()
    head = (
        f"POST /v1/data/{PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    asyncio.run(_repeat(port, head.encode() + body))


async def _repeat(port: int, request: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(COUNT):
        writer.write(request)
        answer = await reader.readuntil(b"}\n")
        assert b'"result"' in answer
    writer.close()


def with_client(port: int) -> None:
    """Ask as a function does."""
    os.environ["POLICY_AGENT_ADDR"] = f"127.0.0.1:{port}"
    from policy_agent.client import decide

    for _ in range(COUNT):
        assert decide(PATH, QUESTION["input"]).decision_id


if __name__ == "__main__":
    sys.exit(main())
