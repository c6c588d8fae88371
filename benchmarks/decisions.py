"""Compare decisions over HTTP with OPA's: latency, throughput and memory, both logging each one.

Each case has a bundle and a question of its own. Rounds are interleaved and medians of all rounds
compared, because a shared machine drifts: trust the ratios. `CPU` is the server's processor time
for a decision, shipping its log entry included. `client` asks with the function's client, one call
after another, as a handler does.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from benchmarks.contenders import AGENT, Contender, Running, contender, find_opa
from benchmarks.load import run_load
from benchmarks.workloads import (
    Workload,
    abac_with_conditions,
    api_with_token,
    many_rules,
    much_data,
    rbac_with_obligations,
    sets_and_comprehensions,
)
from policy_agent.client import connection, decide

ROOT = Path(__file__).parent.parent
ISSUER = "https://issuer.example.com/"
Sections = dict[str, Any]
Figures = dict[str, dict[str, list[float]]]


@dataclass(frozen=True, slots=True)
class Case:
    """What is asked of both.

    Attributes:
        theirs: what OPA is asked, where that differs.
        sections: of the agent's configuration.
        token: the caller's, in the agent's header.
    """

    name: str
    ours: Workload
    theirs: Workload | None = None
    sections: Sections = field(default_factory=dict)
    token: str = ""


def main() -> int:
    """Run the comparison and print a table for each case."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decisions", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of load per run")
    parser.add_argument("--only", default="", help="part of a case's name")
    arguments = parser.parse_args()
    opa = find_opa()
    if opa is None:
        print("opa not found (set OPA_BIN or put it on the PATH): figures of the agent alone")
    with receiver() as url:
        for case in cases():
            if arguments.only in case.name:
                compare(case, url, opa, arguments.rounds, arguments.seconds)
    return 0


def cases() -> Iterator[Case]:
    """Yield what is compared."""
    rbac = rbac_with_obligations()
    for workload in (
        rbac,
        api_with_token(),
        abac_with_conditions(),
        many_rules(1000),
        much_data(1),
        sets_and_comprehensions(),
    ):
        yield Case(workload.name, workload)
    yield identity()
    yield Case("RBAC, kept answers", rbac, sections={"decision_cache": {}})
    for name, size in (("64 KB", 1 << 16), ("1 MB", 1 << 20)):
        items = [{"id": number, "note": "x" * 40} for number in range(size // 60)]
        large = replace(rbac, input={**rbac.input, "items": items})
        yield Case(f"RBAC, input of {name}", large)


def identity() -> Case:
    """Return a case whose caller is known by a token that the agent verifies, and OPA's policy."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    jwk = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": "k"}
    claims = {"iss": ISSUER, "aud": "api", "sub": "sue", "exp": int(time.time()) + 36000}
    token = jwt.encode(claims, key, "RS256", {"kid": "k"})
    allow = "package app\n\ndefault allow := false\n\n"
    ours = allow + "allow if input.identity.claims.sub == input.owner\n"
    theirs = f"""{allow}allow if {{
	constraints := {{"cert": data.keys, "iss": "{ISSUER}", "aud": "api"}}
	[valid, _, claims] := io.jwt.decode_verify(input.token, constraints)
	valid
	claims.sub == input.owner
}}
"""
    keys = json.dumps({"keys": [jwk]})
    issuer = {"issuer": ISSUER, "audiences": ["api"], "jwks": {"keys": [jwk]}}
    return Case(
        "identity",
        Workload("identity", {"app.rego": ours}, "app/allow", {"owner": "sue"}),
        Workload(
            "identity",
            {"app.rego": theirs},
            "app/allow",
            {"owner": "sue", "token": token},
            {"keys": keys},
        ),
        sections={"identity": {"issuers": {"corp": issuer}}},
        token=token,
    )


@contextlib.contextmanager
def receiver() -> Iterator[str]:
    """Run what takes the logs of both."""
    command = [sys.executable, "-m", "benchmarks.receiver"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.terminate()


def compare(case: Case, url: str, opa: str | None, rounds: int, seconds: float) -> None:
    """Measure one case and print its table."""
    with tempfile.TemporaryDirectory(prefix="policy-agent-bench-") as directory:
        work = Path(directory)
        theirs = case.theirs or case.ours
        rivals = [rival("agent", (*AGENT, "run"), case.ours, work, url, case.sections)]
        if opa is not None:
            rivals.append(rival("opa", (opa, "run", "--server"), theirs, work, url, {}))
        servers = [Running(each, work) for each in rivals]
        asked = {"agent": (case.ours, case.token), "opa": (theirs, "")}
        figures: Figures = {each.name: defaultdict(list) for each in rivals}
        try:
            for _ in range(rounds):
                for server in servers:
                    name = server.contender.name
                    measure(server, *asked[name], seconds, figures[name])
            for server in servers:
                figures[server.contender.name]["memory, MB"].append(server.memory_mb())
        finally:
            for server in servers:
                server.stop()
    print_table(case.name, figures)


def rival(
    name: str,
    command: tuple[str, ...],
    workload: Workload,
    work: Path,
    url: str,
    sections: Sections,
) -> Contender:
    """Return a contender with a bundle of its own."""
    source = work / f"{name}-source"
    source.mkdir()
    for file, text in workload.modules.items():
        (source / file).write_text(text, "utf-8")
    (source / "data.json").write_text(json.dumps(workload.data), "utf-8")
    bundle = work / f"{name}.tar.gz"
    subprocess.run([*AGENT, "build", str(source), "-o", str(bundle), "-r", "bench"], check=True)
    return contender(name, command, work, bundle, url, sections)


def measure(
    server: Running,
    workload: Workload,
    token: str,
    seconds: float,
    noted: dict[str, list[float]],
) -> None:
    """Run every load once and note its figures."""
    body = json.dumps({"input": workload.input}).encode()
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    head = (
        f"POST /v1/data/{workload.path} HTTP/1.1\r\nHost: localhost\r\n{authorization}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    port = server.contender.port
    for connections in (1, 16):
        before_us = server.cpu_us()
        load = run_load(
            "127.0.0.1", port, head.encode() + body, connections=connections, seconds=seconds
        )
        noted[f"p50 at {connections}, us"].append(load.percentile_us(50))
        noted[f"p99 at {connections}, us"].append(load.percentile_us(99))
        noted[f"requests/s at {connections}"].append(load.per_second)
        used_us = server.cpu_us() - before_us
        noted[f"CPU at {connections}, us"].append(used_us / len(load.latencies_us))
    noted["client p50, us"].append(client_p50_us(port, workload, token, seconds))


def client_p50_us(port: int, workload: Workload, token: str, seconds: float) -> float:
    """Return how long the function's client takes for a decision."""
    connection.close()
    os.environ["POLICY_AGENT_ADDR"] = f"127.0.0.1:{port}"
    latencies = []
    ends_at = time.perf_counter() + seconds
    while (started := time.perf_counter()) < ends_at:
        decision = decide(workload.path, workload.input, token=token)
        latencies.append((time.perf_counter() - started) * 1e6)
        if decision.result is None:
            raise RuntimeError(f"{workload.name}: {decision!r}")
    return statistics.median(latencies)


def print_table(name: str, figures: Figures) -> None:
    """Print medians side by side, and the agent's as a multiple of OPA's."""
    print(f"\n{name:24}{'agent':>10}{'opa':>10}{'agent/opa':>11}")
    for figure, values in figures["agent"].items():
        ours = statistics.median(values)
        line = f"  {figure:22}{ours:10.1f}"
        if "opa" in figures:
            theirs = statistics.median(figures["opa"][figure])
            line += f"{theirs:10.1f}{ours / theirs:10.2f}x"
        print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
