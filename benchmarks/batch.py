"""Compare a thousand decisions in one call with a thousand calls, on the sample bundle.

All are different questions, and all are recorded. Calls are made as a function would make them,
with the agent's client, and as fast as any client could, with ready bytes on one connection. Rounds
are interleaved and the minimums compared, because a shared machine only ever adds time; the agent's
own CPU time stands beside.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.__main__ import QUESTION
from benchmarks.contenders import Running, contenders
from benchmarks.stage import stage

PATH = "orders/authz/decision"
COUNT = 1000


def main() -> int:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with stage() as ready:
        [rival] = contenders(ready.work, ready.bundle, ready.receiver_url, None)
        agent = Running(rival, ready.work)
        try:
            compare(agent, rounds)
        finally:
            agent.stop()
    return 0


def compare(agent: Running, rounds: int) -> None:
    """Measure each way and print a line for it."""
    ways: dict[str, Callable[[int, int], None]] = {
        "one batch": batch,
        "1,000 calls, ready bytes": ready_bytes,
        "1,000 calls, the client": with_client,
    }
    port = agent.contender.port
    best = dict.fromkeys(ways, float("inf"))
    least = dict.fromkeys(ways, float("inf"))
    for number in range(rounds):
        for name, way in ways.items():
            started, cpu_started = time.perf_counter(), agent.cpu_seconds()
            way(port, number)
            best[name] = min(best[name], time.perf_counter() - started)
            least[name] = min(least[name], agent.cpu_seconds() - cpu_started)
    print(f"{'':26}{'ms':>8}{'agent CPU, ms':>16}{'the batch takes':>18}")
    for name, seconds in best.items():
        figures = f"{seconds * 1000:8.1f}{least[name] * 1000:16.1f}"
        print(f"{name:26}{figures}{best['one batch'] / seconds:17.2f}x")


def inputs(kind: str, round_number: int) -> list[dict[str, Any]]:
    """Return a thousand inputs, none of which was asked before."""
    common: dict[str, Any] = QUESTION["input"]
    return [
        {**common, "resource": {**common["resource"], "id": f"{kind}-{round_number}-{number}"}}
        for number in range(COUNT)
    ]


def batch(port: int, round_number: int) -> None:
    """Ask for everything in one call."""
    asked = {str(number): each for number, each in enumerate(inputs("batch", round_number))}
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("POST", f"/v1/batch/data/{PATH}", json.dumps({"inputs": asked}))
    responses = json.loads(connection.getresponse().read())["responses"]
    connection.close()
    assert len(responses) == COUNT
    assert all("result" in each for each in responses.values())


def ready_bytes(port: int, round_number: int) -> None:
    """Send what was made before on one connection, and look for the result."""
    requests = []
    for value in inputs("bytes", round_number):
        body = json.dumps({"input": value}).encode()
        head = f"POST /v1/data/{PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
        requests.append(head.encode() + body)
    asyncio.run(_send(port, requests))


async def _send(port: int, requests: list[bytes]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request in requests:
        writer.write(request)
        answer = await reader.readuntil(b"}\n")
        assert b'"result"' in answer
    writer.close()


def with_client(port: int, round_number: int) -> None:
    """Ask as a function does."""
    os.environ["POLICY_AGENT_ADDR"] = f"127.0.0.1:{port}"
    from policy_agent.client import decide

    for value in inputs("client", round_number):
        assert decide(PATH, value).decision_id


if __name__ == "__main__":
    sys.exit(main())
