"""Compare the agent with OPA on the sample bundle: latency, throughput, start and memory.

Both serve the same bundle and log every decision to the same receiver. Runs are interleaved and the
medians of all rounds are compared, because a shared machine drifts: trust the ratios, not the
absolute figures.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path

from benchmarks.contenders import Contender, Running, contenders, find_opa
from benchmarks.load import run_load
from benchmarks.stage import stage

QUESTION = {
    "input": {
        "subject": {"id": "sue", "roles": ["support"], "region": "eu", "mfa": False},
        "action": "orders:read",
        "resource": {"type": "order", "id": "o-1", "owner": "carol", "region": "eu", "amount": 120},
    }
}
CONNECTIONS = (1, 16)
Figures = dict[str, dict[str, list[float]]]


def main() -> int:
    """Run the comparison and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of load per run")
    arguments = parser.parse_args()
    opa = find_opa()
    if opa is None:
        print("opa not found (set OPA_BIN or put it on the PATH): figures of the agent alone")
    with stage() as ready:
        rivals = contenders(ready.work, ready.bundle, ready.receiver_url, opa)
        figures = measure(rivals, ready.work, arguments)
    print_table(figures)
    return 0


def measure(rivals: list[Contender], work: Path, arguments: argparse.Namespace) -> Figures:
    """Return contender -> figure -> one value per round."""
    figures: Figures = {rival.name: defaultdict(list) for rival in rivals}
    for _ in range(arguments.rounds):
        for rival in rivals:
            running = Running(rival, work)
            running.stop()
            figures[rival.name]["start to ready, ms"].append(running.ready_ms)
    servers = [Running(rival, work) for rival in rivals]
    try:
        for connections in CONNECTIONS:
            for _ in range(arguments.rounds):
                for server in servers:
                    measure_load(server, connections, arguments.seconds, figures)
        for server in servers:
            figures[server.contender.name]["memory, MB"].append(server.memory_mb())
    finally:
        for server in servers:
            server.stop()
    return figures


def measure_load(server: Running, connections: int, seconds: float, figures: Figures) -> None:
    """Run one load and note its figures."""
    body = json.dumps(QUESTION).encode()
    head = (
        "POST /v1/data/orders/authz/decision HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    port = server.contender.port
    load = run_load(
        "127.0.0.1", port, head.encode() + body, connections=connections, seconds=seconds
    )
    noted = figures[server.contender.name]
    noted[f"p50 at {connections}, us"].append(load.percentile_us(50))
    noted[f"p99 at {connections}, us"].append(load.percentile_us(99))
    noted[f"requests/s at {connections}"].append(load.per_second)


def print_table(figures: Figures) -> None:
    """Print medians side by side, and the agent's as a multiple of OPA's."""
    medians = {
        name: {figure: statistics.median(values) for figure, values in noted.items()}
        for name, noted in figures.items()
    }
    print(f"{'':22}{'agent':>10}{'opa':>10}{'agent/opa':>11}")
    for figure, ours in medians["agent"].items():
        theirs = medians.get("opa", {}).get(figure)
        line = f"{figure:22}{ours:10.1f}"
        print(line if theirs is None else f"{line}{theirs:10.1f}{ours / theirs:10.2f}x")


if __name__ == "__main__":
    sys.exit(main())
