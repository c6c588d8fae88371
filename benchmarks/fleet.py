"""How a new revision reaches a fleet: many agents, each a process of its own, and one origin.

`python -m benchmarks.fleet --agents 300` starts that many sidecars and one nginx, publishes a new
revision, and asks every agent for a decision until all of them decide by it. It prints when half,
99 % and all of them do, and what the origin saw: at the start, at rest, for the new revision, and
for one more that comes as a delta. `--document-mb 50` adds a document of that size, of which a
revision changes one value.

Agents look for news at random times within `--poll`, so half of that is the time to expect for half
of the fleet; what comes on top is what distribution costs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import math
import os
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders import AGENT, Contender, Running, free_port

NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
STARTS_AT_ONCE = 8
ASKS_A_SECOND = 200  # of all agents together: the two cores are theirs, too
GIVE_UP_SECONDS = 600
SHARES = (0.5, 0.99, 1.0)
_LOG_LINE = re.compile(r"(\d+) (\d+)")
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the origin has sent so far."""

    requests: int
    whole: int
    sent_bytes: int

    def since(self, before: Traffic) -> Traffic:
        """Return what came after `before`."""
        return Traffic(
            self.requests - before.requests,
            self.whole - before.whole,
            self.sent_bytes - before.sent_bytes,
        )

    def __str__(self) -> str:
        """Render as one cell of the report."""
        kilobytes = self.sent_bytes / 1000
        return f"{self.requests:>7} requests, {self.whole:>5} bundles, {kilobytes:>12,.1f} kB"


class Origin:
    """nginx over a directory, with an access log of status and bytes."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self.port = free_port()
        self._rules = work / "rules.conf"
        self._bundle = work / "www" / "bundles" / "fleet"
        self._bundle.parent.mkdir(parents=True)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Serve until the end of the block."""
        config = self._work / "nginx.conf"
        self._rules.write_text("")
        user = "user root; " if os.geteuid() == 0 else ""
        folders = " ".join(
            f"{kind}_temp_path {self._work}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        config.write_text(
            f"{user}daemon off; pid {self._work}/pid; worker_processes 1;\n"
            "events { worker_connections 2048; }\n"
            f"http {{ log_format sent '$status $bytes_sent'; {folders}\n"
            f"access_log {self._work}/access.log sent; default_type application/gzip;\n"
            f"server {{ listen 127.0.0.1:{self.port}; root {self._work}/www;\n"
            f"location = /bundles/fleet {{ include {self._rules}; }}\n"
            "location = /delta { internal; etag off; add_header ETag '\"delta\"'; } } }\n"
        )
        command = [str(NGINX), "-c", str(config), "-p", str(self._work), "-e", "stderr"]
        with (self._work / "nginx.log").open("wb") as log:
            process = self._process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)

    def publish(self, revision: str, document_mb: float) -> int:
        """Put a revision in place, whole, and return its size in bytes."""
        sources = self._work / "sources"
        sources.mkdir(exist_ok=True)
        (sources / "fleet.rego").write_text("package fleet\n\nrevision := data.documents.changed\n")
        manifest = {"revision": revision, "roots": ["fleet", "documents"]}
        (sources / ".manifest").write_text(json.dumps(manifest))
        folder = sources / "documents"
        folder.mkdir(exist_ok=True)
        (folder / "data.json").write_text(json.dumps(_document(revision, document_mb)))
        built = self._work / "built"
        command = (*AGENT, "build", "-b", str(sources), "-o", str(built))
        subprocess.run(command, check=True, capture_output=True)
        built.replace(self._bundle)
        return self._bundle.stat().st_size

    def publish_delta(self, revision: str) -> int:
        """Lead whoever has the revision in place on by a delta, and return its size in bytes."""
        patch = [{"op": "replace", "path": "/documents/changed", "value": revision}]
        files = {
            ".manifest": {"revision": revision, "roots": ["fleet", "documents"]},
            "patch.json": {"data": patch},
        }
        delta = self._work / "www" / "delta"
        with tarfile.open(delta, "w:gz") as archive:
            for name, document in files.items():
                content = json.dumps(document).encode()
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/bundles/fleet") as answer:
            etag = answer.headers["ETag"]
        self._rules.write_text(
            f"if ($http_if_none_match = '{etag}') {{ rewrite ^ /delta last; }}\n"
            "if ($http_if_none_match = '\"delta\"') { return 304; }\n"
        )
        self._process.send_signal(signal.SIGHUP)
        return delta.stat().st_size

    def traffic(self) -> Traffic:
        """Return what was sent since nginx started."""
        log = self._work / "access.log"
        lines = _LOG_LINE.findall(log.read_text()) if log.exists() else []
        whole = sum(status == "200" for status, _ in lines)
        return Traffic(len(lines), whole, sum(int(sent) for _, sent in lines))


def _document(revision: str, megabytes: float) -> dict[str, object]:
    users = {f"user{at}": f"group{at % 997}" for at in range(int(megabytes * 1e6 / 25))}
    return {"changed": revision, "users": users}


def start_agents(arguments: argparse.Namespace, origin: Origin, work: Path) -> list[Running]:
    """Start the fleet, a few at a time, and return it when all are ready."""
    with ThreadPoolExecutor(STARTS_AT_ONCE) as pool:
        starts = [
            pool.submit(start_agent, number, arguments.poll, origin, work)
            for number in range(arguments.agents)
        ]
    agents = [start.result() for start in starts if start.exception() is None]
    if len(agents) < len(starts):
        stop_agents(agents)
        raise RuntimeError(f"{len(starts) - len(agents)} agents did not become ready")
    return agents


def start_agent(number: int, poll: tuple[float, float], origin: Origin, work: Path) -> Running:
    """Start one agent and return it when it is ready."""
    directory = work / f"agent{number}"
    directory.mkdir()
    polling = {"min_delay_seconds": poll[0], "max_delay_seconds": poll[1]}
    config = {
        "services": {"origin": {"url": f"http://127.0.0.1:{origin.port}"}},
        "bundles": {"fleet": {"persist": False, "polling": polling}},
        "persistence_directory": str(directory),
    }
    (directory / "config.json").write_text(json.dumps(config))
    port = free_port()
    command = (*AGENT, "run", "-a", f"127.0.0.1:{port}", "-c", "config.json", "-l", "error")
    return Running(Contender("agent", command, port), directory)


def stop_agents(agents: list[Running]) -> None:
    """End all agents."""
    with ThreadPoolExecutor(STARTS_AT_ONCE) as pool:
        list(pool.map(Running.stop, agents))


async def times_to(revision: str, ports: list[int], published: float) -> list[float]:
    """Return for each agent how long after `published` it was seen to decide by `revision`."""
    waiting, seen = list(ports), list[float]()
    while waiting:
        if time.perf_counter() - published > GIVE_UP_SECONDS:
            raise RuntimeError(f"{len(waiting)} agents never decided by {revision}")
        still = []
        for port in waiting:
            if await _revision(port) == revision:
                seen.append(time.perf_counter() - published)
            else:
                still.append(port)
            await asyncio.sleep(1 / ASKS_A_SECOND)
        waiting = still
    return sorted(seen)


async def _revision(port: int) -> object:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET /v1/data/fleet/revision HTTP/1.1\r\nHost: agent\r\n\r\n")
        length = _LENGTH.search(await reader.readuntil(b"\r\n\r\n"))
        body = await reader.readexactly(int(length[1]) if length else 0)
        return json.loads(body).get("result")
    finally:
        writer.close()


def share_of(times: list[float], share: float) -> float:
    """Return when that share of the fleet was there."""
    return times[math.ceil(share * len(times)) - 1]


def measure(arguments: argparse.Namespace, work: Path) -> None:
    """Run the whole story and print it."""
    origin = Origin(work)
    size = origin.publish("r1", arguments.document_mb)
    low, high = arguments.poll
    print(f"{arguments.agents} agents, a bundle of {size} bytes, polled every {low} to {high} s")
    with origin.running():
        began = time.perf_counter()
        agents = start_agents(arguments, origin, work)
        try:
            ports = [agent.contender.port for agent in agents]
            asyncio.run(times_to("r1", ports, time.perf_counter()))
            before = origin.traffic()
            memory = sum(agent.memory_mb() for agent in agents)
            print(f"{'start':<12}{before}   {time.perf_counter() - began:.0f} s, {memory:.0f} MB")
            time.sleep(high)
            print(f"{'at rest':<12}{origin.traffic().since(before)}   in {high} s")
            origin.publish("r2", arguments.document_mb)
            report("revision", "r2", ports, origin)
            size = origin.publish_delta("r3")
            print(f"a delta of {size} bytes")
            report("delta", "r3", ports, origin)
        finally:
            stop_agents(agents)


def report(name: str, revision: str, ports: list[int], origin: Origin) -> None:
    """Wait until all agents decide by a revision just published, and print how they got there."""
    before = origin.traffic()
    times = asyncio.run(times_to(revision, ports, time.perf_counter()))
    shares = ", ".join(f"{share:.0%} {share_of(times, share):.2f} s" for share in SHARES)
    print(f"{name:<12}{origin.traffic().since(before)}   {shares}")


def main() -> int:
    """Measure with the arguments of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("--agents", type=int, default=300)
    parser.add_argument("--poll", type=float, nargs=2, default=(5, 10), metavar=("MIN", "MAX"))
    parser.add_argument("--document-mb", type=float, default=0)
    arguments = parser.parse_args()
    if NGINX is None:
        print("no nginx: install it, or run .ci/run once")
        return 1
    with tempfile.TemporaryDirectory() as directory:
        measure(arguments, Path(directory))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
