"""Compare evaluation alone with `opa bench`: the same policy, data and input; medians of rounds.

`python -m benchmarks.engine` prints microseconds per evaluation, and ours as a multiple of OPA's.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.contenders import find_opa
from benchmarks.workloads import WORKLOADS, Workload
from policy_agent.rego import Policy


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
    print(f"{'':24}{'compile, ms':>12}{'ours, us':>10}{'opa, us':>10}{'ours/opa':>10}")
    ratios = []
    for make in WORKLOADS:
        workload = make()
        if arguments.only not in workload.name:
            continue
        ratio = compare(workload, opa, rounds=arguments.rounds, seconds=arguments.seconds)
        if ratio is not None:
            ratios.append(ratio)
    if ratios:
        print(f"median ratio {statistics.median(ratios):.2f}x, worst {max(ratios):.2f}x")
    return 0


def compare(workload: Workload, opa: str | None, *, rounds: int, seconds: float) -> float | None:
    """Measure one workload on both and print its line; return ours as a multiple of OPA's."""
    with tempfile.TemporaryDirectory(prefix="policy-agent-bench-") as directory:
        work = Path(directory)
        write_files(workload, work)
        started = time.perf_counter()
        policy = Policy.from_modules(workload.modules, workload.data)
        compile_ms = (time.perf_counter() - started) * 1000
        ours, theirs = [], []
        with policy:
            check_answer(workload, policy, opa, work)
            for _ in range(rounds):
                ours.append(evaluate_us(policy, workload, seconds))
                if opa is not None:
                    theirs.append(opa_bench_us(opa, workload, work))
    mine = statistics.median(ours)
    line = f"{workload.name:24}{compile_ms:12.1f}{mine:10.1f}"
    if not theirs:
        print(line)
        return None
    other = statistics.median(theirs)
    print(f"{line}{other:10.1f}{mine / other:9.2f}x", flush=True)
    return mine / other


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
    """Return microseconds per evaluation."""
    count = 0
    started = time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
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
