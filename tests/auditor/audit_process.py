"""Runs `policy-agent audit serve` as a process of its own, and makes what is sent to it."""

from __future__ import annotations

import contextlib
import gzip
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

MAIN = "from policy_agent.cli import main; raise SystemExit(main())"
DEADLINE_SECONDS = 20.0


def event(decision_id: str, **fields: Any) -> dict[str, Any]:
    """Return an event as OPA logs it; a field given as None is left out."""
    whole = {
        "labels": {"id": "instance-1", "version": "1.22.0", "function": "orders"},
        "decision_id": decision_id,
        "bundles": {"orders": {"revision": "r1"}},
        "path": "orders/authz/allow",
        "input": {"identity": {"sub": "alice"}, "action": "read"},
        "result": True,
        "requested_by": "127.0.0.1:50000",
        "timestamp": "2026-11-21T10:00:00.123456789Z",
        **fields,
    }
    return {name: value for name, value in whole.items() if value is not None}


def body(*entries: Any) -> bytes:
    return gzip.compress(json.dumps(entries).encode())


def start(directory: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a server that commits without waiting; its standard error is a pipe."""
    command = ["audit", "serve", "--dir", str(directory), "--addr", "127.0.0.1:0"]
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", MAIN, *command, "--commit-seconds", "0", *arguments],
        stderr=subprocess.PIPE,
        text=True,
    )


@dataclass
class Server:
    process: subprocess.Popen[str]
    client: httpx.Client

    def post(self, *entries: Any, path: str = "/logs") -> httpx.Response:
        return self.client.post(path, content=body(*entries), headers={"Content-Encoding": "gzip"})

    def stats(self) -> dict[str, int]:
        stats: dict[str, int] = self.client.get("/stats").raise_for_status().json()
        return stats

    def settled(self) -> dict[str, int]:
        """Return the counters once nothing is pending."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (stats := self.stats())["pending"]:
            assert time.monotonic() < deadline, stats
            time.sleep(0.01)
        return stats

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_SECONDS)


@contextlib.contextmanager
def serving(directory: Path, *arguments: str, token: str = "") -> Iterator[Server]:
    """Yield a running server; unless the test ended it, it must stop cleanly afterwards."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with start(directory, *arguments) as process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            assert line.startswith("listening on http://127.0.0.1:"), line
            with httpx.Client(base_url=line.split()[-1], headers=headers) as client:
                server = Server(process, client)
                yield server
            if process.poll() is None:
                assert server.terminate() == 0, process.stderr.read()
        finally:
            process.kill()
