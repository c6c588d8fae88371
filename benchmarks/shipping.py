"""Many agents ship to one receiver at once: how much it takes, and that nothing is lost on the way.

First to a receiver that takes all it is given, then to one that pushes back (`pressure`): half of
the time it answers 429 or 503, or answers late.

Each agent is a decision log with a spool of its own, as in the agent, in one of a few processes:
all that ships of 300 agents, without the memory of 300 interpreters.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from benchmarks.__main__ import QUESTION
from policy_agent.config import DecisionLogs, Delays, Service
from policy_agent.decision_log.ids import new_decision_id
from policy_agent.decision_log.log import DecisionLog
from policy_agent.model import Decision
from policy_agent.rego import Policy

ROOT = Path(__file__).parent.parent
COMMAND = [sys.executable, "-c", "from policy_agent.cli import main; raise SystemExit(main())"]
PROCESSES = 2
ROUNDS = 4
KEY = "shipping"


def main() -> int:
    """Run the fleet, or one process of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shipping", description=__doc__)
    parser.add_argument("--agents", type=int, default=300)
    parser.add_argument("--decisions", type=int, default=200, help="of each agent")
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--directory", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.url:
        print(json.dumps(asyncio.run(_ship(arguments))))
        return 0
    failed = 0
    for under_pressure in (False, True):
        with tempfile.TemporaryDirectory(prefix="policy-agent-shipping-") as directory:
            failed |= _measure(Path(directory), arguments, under_pressure=under_pressure)
    return failed


def _measure(work: Path, arguments: argparse.Namespace, *, under_pressure: bool) -> int:
    store = ["--dir", str(work / "store")]
    serve = [*COMMAND, "audit", "serve", *store, "--addr", "127.0.0.1:0"]
    with subprocess.Popen(serve, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            url = server.stderr.readline().split()[-1]
            with _receiver(url, under_pressure=under_pressure) as (receiver_url, seen):
                started = time.monotonic()
                reports = _run_processes(work, receiver_url, arguments)
                shipped_seconds = time.monotonic() - started
            while _stats(url)["pending"]:
                time.sleep(0.1)
            stored_seconds = time.monotonic() - started
        finally:
            server.terminate()
    recorded = sum(report["recorded"] for report in reports)
    failures = sum(report["upload_failures"] for report in reports)
    (work / "key").write_text(KEY)
    count = _output("audit", "query", *store, "--count").strip()
    verified = _output("audit", "verify", *store, "--audit-key-file", str(work / "key"))
    met = ", ".join(f"{mode} {count}" for mode, count in seen.items()) or "all taken"
    print(f"{arguments.agents} agents recorded {recorded} decisions; requests: {met}")
    print(
        f"accepted: {recorded / shipped_seconds:8.0f}/s, {failures} uploads failed and were retried"
    )
    print(f"stored:   {recorded / stored_seconds:8.0f}/s")
    print(f"in the store: {count}; audit verify: {verified.strip()}")
    return int(count != str(recorded) or "findings=0" not in verified)


@contextmanager
def _receiver(url: str, *, under_pressure: bool) -> Iterator[tuple[str, dict[str, int]]]:
    """Yield where to ship to, and what requests have met, known at the end."""
    seen: dict[str, int] = {}
    if not under_pressure:
        yield url, seen
        return
    command = [sys.executable, "-m", "benchmarks.pressure", "--url", url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as proxy:
        assert proxy.stdout is not None
        try:
            yield proxy.stdout.readline().strip(), seen
        finally:
            proxy.terminate()
        seen |= json.loads(proxy.stdout.readline())


def _run_processes(work: Path, url: str, arguments: argparse.Namespace) -> list[dict[str, int]]:
    command = [sys.executable, "-m", "benchmarks.shipping", "--url", url]
    command += ["--agents", str(arguments.agents // PROCESSES)]
    command += ["--decisions", str(arguments.decisions)]
    processes = [
        subprocess.Popen(
            [*command, "--directory", str(work / f"agents-{number}")],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for number in range(PROCESSES)
    ]
    return [json.loads(process.communicate()[0]) for process in processes]


async def _ship(arguments: argparse.Namespace) -> dict[str, int]:
    """Let one process's agents record and ship, all at once, until nothing is left."""
    policy = Policy.from_modules({"orders.rego": "package orders.authz\n\nallow := true\n"})
    service = Service("store", arguments.url)
    config = DecisionLogs(service, audit_key=KEY, reporting=Delays(1, 5))
    agents = [
        DecisionLog(config, {"id": f"{number}", "function": f"f-{number}"},
                    arguments.directory / str(number))
        for number in range(arguments.agents)
    ]  # fmt: skip
    decision = Decision(
        "", "orders/authz/allow", QUESTION["input"], True, None, {"orders": "r1"}, 0, {}
    )
    share = arguments.decisions // ROUNDS

    async def live(agent: DecisionLog) -> None:
        for number in range(ROUNDS):
            for _ in range(share):
                made, now_ns = new_decision_id(), time.time_ns()
                agent.record(replace(decision, decision_id=made, timestamp_ns=now_ns), policy)
            if number == ROUNDS - 1:
                agent.close_stream()
            await _until_shipped(agent)

    await asyncio.gather(*(live(agent) for agent in agents))
    totals: dict[str, int] = {}
    for agent in agents:
        for name, value in agent.status.counters.items():
            totals[name] = totals.get(name, 0) + value
        agent.close()
    return totals


async def _until_shipped(agent: DecisionLog) -> None:
    while True:
        report = await agent.flush(30)
        if not report.left:
            return
        await asyncio.sleep(0.05)  # the back-off decides when it is really tried again


def _stats(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/stats") as answer:  # noqa: S310 - our own server
        stats: dict[str, Any] = json.load(answer)
    return stats


def _output(*arguments: str) -> str:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, check=False
    ).stdout


if __name__ == "__main__":
    sys.exit(main())
