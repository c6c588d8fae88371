"""Measure Rego tests, with the output of `opa test --bench`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from policy_agent.publisher import test_report
from policy_agent.publisher.bench_report import figure
from policy_agent.publisher.measuring import durations_ns
from policy_agent.publisher.rego_tests import RegoTest
from policy_agent.publisher.test_run import RegoTestResult, TestedPolicy

_TIMER: Final = "timer_rego_query_eval_ns/op"


@dataclass(frozen=True, slots=True)
class BenchedTest:
    """A test, and how long it takes if it passes.

    Attributes:
        count: how often it ran.
        total_ns: how long that took.
    """

    result: RegoTestResult
    count: int = 0
    total_ns: int = 0

    @property
    def per_run_ns(self) -> float:
        """Return how long it takes."""
        return self.total_ns / self.count


def bench_tests(tested: TestedPolicy, tests: Iterable[RegoTest]) -> Iterator[BenchedTest]:
    """Run each test once, and those that pass for about a second."""
    for result in tested.run(tests):
        if result.outcome != "PASS":
            yield BenchedTest(result)
            continue
        taken = durations_ns(lambda test=result.test: tested.value(test))  # type: ignore[misc]
        yield BenchedTest(result, len(taken), sum(taken))


def _pretty(benched: Sequence[BenchedTest]) -> str:
    return _lines(benched, lambda test: test.full_name)


def _gobench(benched: Sequence[BenchedTest]) -> str:
    return _lines(benched, _camel_case)


def _lines(benched: Sequence[BenchedTest], name_of: Callable[[RegoTest], str]) -> str:
    """Return a line for each test that passes; the others as in a run without benchmarks."""
    lines = ""
    for each in benched:
        if each.count:
            per_run = figure(each.per_run_ns)
            lines += f"{name_of(each.result.test)}\t{each.count:8}\t{per_run:>10} ns/op\t"
            lines += f"{per_run:>10} {_TIMER}\n"
    return lines + test_report.pretty([each.result for each in benched], test_report.Style())


def _as_json(benched: Sequence[BenchedTest]) -> str:
    extra = [
        {
            "benchmark_result": {
                "N": each.count,
                "T": each.total_ns,
                "Bytes": 0,
                "MemAllocs": 0,
                "MemBytes": 0,
                "Extra": {_TIMER: each.per_run_ns} if each.count else None,
            }
        }
        for each in benched
    ]
    return test_report.as_json([each.result for each in benched], extra)


def _camel_case(test: RegoTest) -> str:
    words = test.full_name.replace("_", ".").split(".")
    return "Benchmark" + "".join(word[:1].upper() + word[1:] for word in words)


BENCH_FORMATS: Final[Mapping[str, Callable[[Sequence[BenchedTest]], str]]] = {
    "pretty": _pretty,
    "json": _as_json,
    "gobench": _gobench,
}
