"""Full load for minutes while policies change every second: is each answer right, and memory flat?

Every revision of the bundle gives another answer, and every answer names its revision: the two must
agree. Memory is compared between the end of the warm-up and the end of the run.

    python -m benchmarks.soak --seconds 600
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import sys
import tarfile
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.contenders import AGENT, Contender, Running, free_port
from benchmarks.decisions import receiver
from benchmarks.load import run_load

WARM_UP = 0.25  # of the whole time
SAMPLE_SECONDS = 5.0
MAX_GROWTH = 1.05
INPUT = {"subject": {"id": "sue", "roles": ["support", "auditor"]}, "action": "read"}
# Comprehensions, sets and a call: what garbage is made of.
POLICY = """package soak

revision := {revision}

granted contains action if {{
	some role in input.subject.roles
	some action in data.grants[role]
}}

decision := {{
	"allow": input.action in granted,
	"revision": revision,
	"actions": sort([upper(action) | some action in granted]),
}}
"""


class Bundles:
    """The newest revision of the bundle, over HTTP; `revision` counts up."""

    def __init__(self) -> None:
        self.revision = 0
        self.archive = b""
        self.publish()

    def publish(self) -> None:
        """Make the next revision."""
        number = self.revision + 1
        grants = {"support": ["read"], "auditor": ["read", f"audit-{number}"]}
        self.archive = bundle(number, grants)
        self.revision = number

    def answer(self, number: int) -> dict[str, Any]:
        """Return what that revision decides."""
        return {"allow": True, "revision": number, "actions": [f"AUDIT-{number}", "READ"]}


def bundle(number: int, grants: dict[str, list[str]]) -> bytes:
    """Return a bundle archive."""
    files = {
        "soak.rego": POLICY.format(revision=number),
        "data.json": json.dumps({"grants": grants}),
        ".manifest": json.dumps({"revision": f"r{number}", "roots": ["soak", "grants"]}),
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


class Checker:
    """Compares each answer with what the revision that it names decides."""

    def __init__(self, bundles: Bundles) -> None:
        self._bundles = bundles
        self.seen: Counter[int] = Counter()
        self.wrong: list[str] = []

    def __call__(self, body: bytes) -> None:
        """Check one answer."""
        answer = json.loads(body)
        name = answer["provenance"]["bundles"]["soak"]["revision"]
        number = int(name.removeprefix("r"))
        self.seen[number] += 1
        if answer["result"] != self._bundles.answer(number) and len(self.wrong) < 10:
            self.wrong.append(f"{name}: {answer['result']}")


def main() -> int:
    """Run the load and say what came of it; 1 when an answer was wrong or memory grew."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--connections", type=int, default=16)
    arguments = parser.parse_args()
    bundles = Bundles()
    checker = Checker(bundles)
    with (
        tempfile.TemporaryDirectory(prefix="policy-agent-soak-") as directory,
        served(bundles) as bundle_url,
        receiver() as log_url,
    ):
        agent = Running(contender(Path(directory), bundle_url, log_url), Path(directory))
        memory: list[tuple[float, float]] = []
        stop = threading.Event()
        threads = [
            threading.Thread(target=publish, args=(bundles, stop)),
            threading.Thread(target=sample, args=(agent, memory, stop)),
        ]
        for thread in threads:
            thread.start()
        try:
            load = run_load(
                "127.0.0.1",
                agent.contender.port,
                request(),
                connections=arguments.connections,
                seconds=arguments.seconds,
                check=checker,
            )
        finally:
            stop.set()
            for thread in threads:
                thread.join()
            agent.stop()
    print(f"{len(load.latencies_us):,} decisions, {load.per_second:,.0f} a second")
    print(f"p50 {load.percentile_us(50):,.0f} us, p99 {load.percentile_us(99):,.0f} us")
    print(f"{len(checker.seen)} of {bundles.revision} revisions decided")
    print(f"wrong answers: {len(checker.wrong)} {checker.wrong}")
    return 1 if checker.wrong or not is_flat(memory, arguments.seconds) else 0


def is_flat(memory: list[tuple[float, float]], seconds: float) -> bool:
    """Print what memory did after the warm-up, and tell whether it stayed as it was."""
    settled = [megabytes for at, megabytes in memory if at >= seconds * WARM_UP]
    third = max(len(settled) // 3, 1)
    first, last = (sum(part) / len(part) for part in (settled[:third], settled[-third:]))
    growth = last / first
    print(f"memory: {first:.1f} MB after the warm-up, {last:.1f} MB at the end ({growth:.3f}x)")
    return growth <= MAX_GROWTH


def request() -> bytes:
    """Return the request that is sent over and over."""
    body = json.dumps({"input": INPUT}).encode()
    head = (
        "POST /v1/data/soak/decision?provenance=true HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def publish(bundles: Bundles, stop: threading.Event) -> None:
    """Publish a revision a second."""
    while not stop.wait(1):
        bundles.publish()


def sample(agent: Running, memory: list[tuple[float, float]], stop: threading.Event) -> None:
    """Note the agent's memory every few seconds."""
    started = time.perf_counter()
    for number in itertools.count(1):
        if stop.wait(max(started + number * SAMPLE_SECONDS - time.perf_counter(), 0)):
            return
        memory.append((time.perf_counter() - started, agent.memory_mb()))


@contextmanager
def served(bundles: Bundles) -> Iterator[str]:
    """Serve the newest revision; yields the base URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            archive, etag = bundles.archive, f'"{bundles.revision}"'
            self.send_response(200)
            self.send_header("ETag", etag)
            self.send_header("Content-Length", str(len(archive)))
            self.end_headers()
            self.wfile.write(archive)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def contender(work: Path, bundle_url: str, log_url: str) -> Contender:
    """Return the agent, polling every half second and logging every decision."""
    port = free_port()
    polling = {"min_delay_seconds": 0.5, "max_delay_seconds": 0.5}
    config = {
        "services": {"bundles": {"url": bundle_url}, "logs": {"url": log_url}},
        "bundles": {"soak": {"service": "bundles", "polling": polling}},
        "decision_logs": {
            "service": "logs",
            "reporting": {"min_delay_seconds": 1, "max_delay_seconds": 2},
        },
        "persistence_directory": str(work / "agent"),
    }
    file = work / "agent.json"
    file.write_text(json.dumps(config), "utf-8")
    flags = ("--addr", f"127.0.0.1:{port}", "--config-file", str(file), "--log-level", "error")
    return Contender("agent", (*AGENT, "run", *flags), port)


if __name__ == "__main__":
    sys.exit(main())
