"""Start the agent and OPA with the same bundle, each logging its decisions to the same receiver."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

AGENT = (sys.executable, "-c", "from policy_agent.cli import main; raise SystemExit(main())")
READY_POLL_SECONDS = 0.002
READY_TIMEOUT_SECONDS = 30


def find_opa() -> str | None:
    """Return the `opa` to compare with: OPA_BIN, or the one on the PATH."""
    return os.environ.get("OPA_BIN") or shutil.which("opa")


def free_port() -> int:
    """Return a loopback port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Contender:
    """One server under test."""

    name: str
    command: tuple[str, ...]
    port: int


class Running:
    """A contender's process, ready to decide."""

    def __init__(self, contender: Contender, work: Path) -> None:
        self.contender = contender
        started = time.perf_counter()
        with (work / f"{contender.name}.log").open("wb") as log:
            self._process = subprocess.Popen(contender.command, stdout=log, stderr=log, cwd=work)
        self._await_ready(started + READY_TIMEOUT_SECONDS)
        self.ready_ms = (time.perf_counter() - started) * 1000

    def _await_ready(self, deadline: float) -> None:
        while time.perf_counter() < deadline:
            connection = http.client.HTTPConnection("127.0.0.1", self.contender.port, timeout=1)
            try:
                connection.request("GET", "/health?bundles")
                if connection.getresponse().status == 200:
                    return
            except OSError:
                pass
            finally:
                connection.close()
            time.sleep(READY_POLL_SECONDS)
        self.stop()
        raise RuntimeError(f"{self.contender.name} did not become ready")

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid

    def cpu_seconds(self) -> float:
        """Return the CPU time that the process has used so far, without its children's."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text("ascii").rpartition(")")[2]
        user, system = fields.split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        """Return the resident memory of the process and its children."""
        return sum(_resident_mb(pid) for pid in _family(self._process.pid))

    def cpu_us(self) -> float:
        """Return how much processor time the process has taken, in microseconds."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text("ascii").rpartition(") ")[2]
        user, system = fields.split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK") * 1e6

    def stop(self) -> None:
        """End the process (SIGTERM) and wait for it."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def contenders(work: Path, bundle: Path, receiver_url: str, opa: str | None) -> list[Contender]:
    """Return the agent and, where there is one, OPA."""
    found = [contender("agent", (*AGENT, "run"), work, bundle, receiver_url)]
    if opa is not None:
        found.append(contender("opa", (opa, "run", "--server"), work, bundle, receiver_url))
    return found


def contender(
    name: str,
    command: tuple[str, ...],
    work: Path,
    bundle: Path,
    receiver_url: str,
    sections: Mapping[str, object] = MappingProxyType({}),
) -> Contender:
    """Return a server with one bundle whose decisions go to the receiver.

    Args:
        sections: further sections of its configuration.
    """
    port = free_port()
    config = {
        "services": {"receiver": {"url": receiver_url}},
        "bundles": {"orders": {"resource": f"file://{bundle}"}},
        "decision_logs": {
            "service": "receiver",
            "reporting": {"min_delay_seconds": 1, "max_delay_seconds": 2},
        },
        "persistence_directory": str(work / name),
        **sections,
    }
    file = work / f"{name}.json"
    file.write_text(json.dumps(config), "utf-8")
    flags = ("--addr", f"127.0.0.1:{port}", "--config-file", str(file), "--log-level", "error")
    return Contender(name, (*command, *flags), port)


def _family(pid: int) -> list[int]:
    family = [pid]
    # A child belongs to the thread that started it.
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text("ascii").split():
            family += _family(int(child))
    return family


def _resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0
