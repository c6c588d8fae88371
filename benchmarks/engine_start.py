"""Compare what comes before the first evaluation: compiling, ready plans, and loading much data.

`python -m benchmarks.engine_start` prints how long `opa build -t plan` and our engine take for the
same sources, and how soon a ready plan decides; with `--data-mb 100` also how long both take to
answer over that much data, and with how much memory. Each figure is of a process of its own.
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

ROOT = Path(__file__).parent.parent
_OURS = """
import json, sys, time
from pathlib import Path
bundle, path, question = sys.argv[1:]
question = json.loads(Path(question).read_bytes())
from policy_agent.bundle.directory import read_path
started = time.perf_counter()
read = read_path("bench", Path(bundle))
reading = time.perf_counter()
from policy_agent.rego import Policy
policy = Policy.from_modules(read.modules, read.data, plan=read.plan)
ready = time.perf_counter()
policy.evaluate(path, question)
first = time.perf_counter()
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
    arguments = parser.parse_args()
    opa = find_opa()
    print(f"{'':24}{'from sources':>14}{'ready plan':>12}{'decides':>9}{'opa build':>11}  ms")
    for workload in (many_packages(300, 10), many_rules(3000), many_rules(10_000)):
        with tempfile.TemporaryDirectory(prefix="policy-agent-bench-") as directory:
            compare_compiling(workload, Path(directory), opa)
    if arguments.data_mb:
        with tempfile.TemporaryDirectory(prefix="policy-agent-bench-") as directory:
            compare_loading(much_data(arguments.data_mb), Path(directory), opa)
    return 0


def compare_compiling(workload: Workload, work: Path, opa: str | None) -> None:
    """Print how long sources and a ready plan take until they decide."""
    write_files(workload, work)
    archive = work / "bundle.tar.gz"
    timed([*AGENT, "build", str(work / "bundle"), "-o", str(archive)])
    _, compiling, _ = ours(work, work / "bundle", workload)
    _, ready, first = ours(work, archive, workload)
    line = f"{workload.name:24}{compiling:14.0f}{ready:12.1f}{first:9.1f}"
    if opa is not None:
        entry = ["-e", workload.path, "-b", str(work / "bundle"), "-o", str(work / "opa.tar.gz")]
        line += f"{timed([opa, 'build', '-t', 'plan', *entry]).ms:11.0f}"
    print(line, flush=True)


def compare_loading(workload: Workload, work: Path, opa: str | None) -> None:
    """Print how long and with how much memory both answer one question over much data."""
    write_files(workload, work)
    print(f"{workload.name:24}{'ms':>10}{'MB':>10}")
    command = [sys.executable, "-c", _OURS, str(work / "bundle"), workload.path]
    runs = {"ours": timed([*command, str(work / "input.json")])}
    if opa is not None:
        runs["opa"] = timed([opa, "eval", *opa_arguments(workload, work)])
    for name, run in runs.items():
        print(f"{name:24}{run.ms:10.0f}{run.memory_mb:10.0f}")


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
    return Run((time.perf_counter() - started) * 1000, usage.ru_maxrss / 1024, output)


if __name__ == "__main__":
    sys.exit(main())
