"""Compare what comes before the first evaluation: compiling, ready plans, and loading much data.

`python -m benchmarks.engine_start` prints how long `opa build -t plan` and our engine take for the
same sources, and how soon a ready plan decides; with `--data-mb 100` also how long both take to
answer over that much data, and with how much memory. Each figure is of a process of its own: the
lesser of its CPU time (OPA uses several cores) and its wall time; of several rounds the quickest
counts, because a busy machine only ever adds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders import AGENT, find_opa
from benchmarks.engine import opa_arguments, write_files
from benchmarks.workloads import Workload, many_packages, many_rules, much_data

READY_TARGET_MS = 30
DECIDES_TARGET_MS = 10
COMPILE_TARGET = 3.0
LOAD_TARGET = 1.0
MEMORY_TARGET = 0.6

ROOT = Path(__file__).parent.parent
_OURS = """
import json, sys, time
from pathlib import Path
bundle, path, question = sys.argv[1:]
question = json.loads(Path(question).read_bytes())
from policy_agent.bundle.directory import read_path
started = time.process_time()
read = read_path("bench", Path(bundle), lazily=True)
reading = time.process_time()
from policy_agent.rego import Policy
policy = Policy.from_modules(read.modules, read.data, plan=read.plan)
ready = time.process_time()
policy.evaluate(path, question)
first = time.process_time()
print(json.dumps([reading - started, ready - reading, first - ready]))
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One process: how long it took, its largest resident memory, and what it wrote."""

    ms: float
    memory_mb: float
    output: bytes


def main() -> int:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine_start", description=__doc__)
    parser.add_argument("--data-mb", type=int, default=0, help="also load this much data")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    opa = find_opa()
    print(
        f"{'milliseconds':24}{'sources':>9}{'opa build':>11}{'ratio':>8}{'plan':>8}{'decides':>9}"
    )
    goals = f"{COMPILE_TARGET:7.1f}x{READY_TARGET_MS:8}{DECIDES_TARGET_MS:9}"
    print(f"{'target, at most':24}{'':20}{goals}")
    for workload in (many_packages(300, 10), many_rules(3000), many_rules(10_000)):
        with tempfile.TemporaryDirectory(prefix="policy-agent-bench-") as directory:
            compare_compiling(workload, Path(directory), opa, arguments.rounds)
    if arguments.data_mb:
        with tempfile.TemporaryDirectory(prefix="policy-agent-bench-") as directory:
            compare_loading(much_data(arguments.data_mb), Path(directory), opa, arguments.rounds)
    return 0


def compare_compiling(workload: Workload, work: Path, opa: str | None, rounds: int) -> None:
    """Print how long sources and a ready plan take until they decide."""
    write_files(workload, work)
    archive = work / "bundle.tar.gz"
    timed([*AGENT, "build", str(work / "bundle"), "-o", str(archive)])
    entry = ["-e", workload.path, "-b", str(work / "bundle"), "-o", str(work / "opa.tar.gz")]
    compiled, ready, built = [], [], []
    for _ in range(rounds):
        compiled.append(ours(work, work / "bundle", workload)[1])
        ready.append(ours(work, archive, workload)[1:])
        if opa is not None:
            built.append(timed([opa, "build", "-t", "plan", *entry]).ms)
    line = f"{workload.name:24}{min(compiled):9.0f}"
    line += f"{min(built):11.0f}{min(compiled) / min(built):7.2f}x" if built else f"{'':19}"
    # Of one process, so that the two figures belong together.
    plan, decides = min(ready, key=sum)
    print(f"{line}{plan:8.1f}{decides:9.1f}", flush=True)


def compare_loading(workload: Workload, work: Path, opa: str | None, rounds: int) -> None:
    """Print how long and with how much memory both answer one question over much data."""
    write_files(workload, work)
    command = [sys.executable, "-c", _OURS, str(work / "bundle"), workload.path]
    runs: dict[str, list[Run]] = {"ours": [], "opa": []}
    for _ in range(rounds):
        runs["ours"].append(timed([*command, str(work / "input.json")]))
        if opa is not None:
            runs["opa"].append(timed([opa, "eval", *opa_arguments(workload, work)]))
    print(f"{workload.name:24}{'ms':>10}{'MB':>10}")
    best = {
        name: (min(run.ms for run in each), min(run.memory_mb for run in each))
        for name, each in runs.items()
        if each
    }
    for name, (ms, memory_mb) in best.items():
        print(f"{name:24}{ms:10.0f}{memory_mb:10.0f}")
    if "opa" in best:
        ratios = [mine / theirs for mine, theirs in zip(best["ours"], best["opa"], strict=True)]
        print(f"{'ratio':24}{ratios[0]:9.2f}x{ratios[1]:9.2f}x")
        print(f"{'target, at most':24}{LOAD_TARGET:9.2f}x{MEMORY_TARGET:9.2f}x")


def ours(work: Path, bundle: Path, workload: Workload) -> list[float]:
    """Return milliseconds to read a bundle, until it is ready, and of the first decision."""
    command = [sys.executable, "-c", _OURS, str(bundle), workload.path, str(work / "input.json")]
    return [seconds * 1000 for seconds in json.loads(timed(command).output)]


def timed(command: Sequence[str]) -> Run:
    """Run a process to its end."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    with process.stdout:
        output = process.stdout.read()
    # wait4 tells of this process alone; Popen must know that it is gone.
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command))
    seconds = min(time.perf_counter() - started, usage.ru_utime + usage.ru_stime)
    return Run(seconds * 1000, usage.ru_maxrss / 1024, output)


if __name__ == "__main__":
    sys.exit(main())
