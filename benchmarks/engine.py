"""Compare evaluation alone with `opa bench`: the same policy, data and input.

`python -m benchmarks.engine` prints microseconds per evaluation, and ours as a multiple of OPA's.
Every round measures every workload on both, one after the other; of each the quickest round
counts, because a busy machine only ever adds. Ours is CPU time; `opa bench` tells wall time.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders import find_opa
from benchmarks.workloads import WORKLOADS, Workload
from policy_agent.rego import Policy

MEDIAN_TARGET = 0.35
WORST_TARGET = 1.0


@dataclass(slots=True)
class Contest:
    """One workload, ready to run on both.

    Attributes:
        ours_us: the quickest round so far.
        opa_us: the same of OPA.
    """

    workload: Workload
    policy: Policy
    work: Path
    compile_ms: float
    ours_us: float = math.inf
    opa_us: float = math.inf

    @property
    def ratio(self) -> float:
        """Return ours as a multiple of OPA's."""
        return self.ours_us / self.opa_us


def main() -> int:
    """Run every workload and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="of evaluation per round")
    parser.add_argument("--only", default="", help="part of a workload's name")
    arguments = parser.parse_args()
    opa = find_opa()
    if opa is None:
        print("opa not found (set OPA_BIN or put it on the PATH): figures of our engine alone")
    with ExitStack() as opened:
        contests = [
            prepare(workload, opa, opened)
            for make in WORKLOADS
            if arguments.only in (workload := make()).name
        ]
        for _ in range(arguments.rounds):
            for contest in contests:
                run_round(contest, opa, arguments.seconds)
    print_table(contests, compared=opa is not None)
    return 0


def prepare(workload: Workload, opa: str | None, opened: ExitStack) -> Contest:
    """Compile a workload, and make sure that both give the same answer."""
    directory = tempfile.TemporaryDirectory(prefix="policy-agent-bench-")
    work = Path(opened.enter_context(directory))
    write_files(workload, work)
    started = time.process_time()
    policy = opened.enter_context(Policy.from_modules(workload.modules, workload.data))
    compile_ms = (time.process_time() - started) * 1000
    check_answer(workload, policy, opa, work)
    return Contest(workload, policy, work, compile_ms)


def run_round(contest: Contest, opa: str | None, seconds: float) -> None:
    """Measure one workload on both, once."""
    ours = evaluate_us(contest.policy, contest.workload, seconds)
    contest.ours_us = min(contest.ours_us, ours)
    if opa is not None:
        theirs = opa_bench_us(opa, contest.workload, contest.work)
        contest.opa_us = min(contest.opa_us, theirs)


def print_table(contests: list[Contest], *, compared: bool) -> None:
    """Print what was measured, with the targets."""
    heads = f"{'compile, ms':>12}{'ours, us':>10}"
    print(f"{'':24}{heads}{'opa, us':>10}{'ours/opa':>10}{'target':>8}" if compared else heads)
    for contest in contests:
        line = f"{contest.workload.name:24}{contest.compile_ms:12.1f}{contest.ours_us:10.1f}"
        if compared:
            line += f"{contest.opa_us:10.1f}{contest.ratio:9.2f}x{WORST_TARGET:7.2f}x"
        print(line)
    if compared and contests:
        ratios = [contest.ratio for contest in contests]
        median = statistics.median(ratios)
        print(f"median ratio {median:.2f}x (target {MEDIAN_TARGET}x), worst {max(ratios):.2f}x")


def write_files(workload: Workload, work: Path) -> None:
    """Write policy, data and input where `opa` reads them."""
    (work / "bundle").mkdir()
    for name, text in workload.modules.items():
        (work / "bundle" / name).write_text(text, "utf-8")
    (work / "bundle" / "data.json").write_text(json.dumps(workload.data), "utf-8")
    (work / "input.json").write_text(json.dumps(workload.input), "utf-8")


def check_answer(workload: Workload, policy: Policy, opa: str | None, work: Path) -> None:
    """Make sure that both give the same answer; a fast wrong one is worth nothing."""
    answer = policy.evaluate(workload.path, workload.input)
    if opa is None:
        return
    command = [opa, "eval", *opa_arguments(workload, work)]
    result = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    expected = result["result"][0]["expressions"][0]["value"]
    if answer != expected:
        raise RuntimeError(f"{workload.name}: {answer!r} instead of {expected!r}")


def evaluate_us(policy: Policy, workload: Workload, seconds: float) -> float:
    """Return microseconds of CPU time per evaluation."""
    count = 0
    started = time.process_time()
    while (elapsed := time.process_time() - started) < seconds:
        for _ in range(20):
            policy.evaluate(workload.path, workload.input)
        count += 20
    return elapsed / count * 1e6


def opa_bench_us(opa: str, workload: Workload, work: Path) -> float:
    """Return microseconds per evaluation by `opa bench`."""
    flags = ["--metrics=false", "--benchmem=false"]
    command = [opa, "bench", *opa_arguments(workload, work), *flags]
    result = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return float(result["T"] / result["N"] / 1000)


def opa_arguments(workload: Workload, work: Path) -> list[str]:
    """Return what `opa eval` and `opa bench` have in common."""
    reference = "data." + workload.path.replace("/", ".")
    bundle, question = str(work / "bundle"), str(work / "input.json")
    return ["--format", "json", "--bundle", bundle, "--input", question, reference]


if __name__ == "__main__":
    sys.exit(main())
