"""Print a benchmark as `opa bench` does (OPA v1.22 cmd/bench.go), in its three formats.

Pure. Allocations are not measured: Python has no count of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from policy_agent.publisher.ordered_json import in_order, indented
from policy_agent.publisher.text_table import plain_table

_HISTOGRAM: Final = "histogram_timer_rego_query_eval_ns"
_PERCENTILES: Final = (75, 90, 95, 99, 99.9, 99.99)


def histogram(durations_ns: Sequence[int]) -> dict[str, float]:
    """Return what OPA's histogram tells of durations, by name."""
    ordered = sorted(durations_ns)
    count = len(ordered)
    mean = sum(ordered) / count
    variance = sum((each - mean) ** 2 for each in ordered) / count
    figures = {f"{each}%": _percentile(ordered, each) for each in _PERCENTILES}
    figures |= {"count": count, "min": ordered[0], "max": ordered[-1], "mean": mean}
    figures |= {"median": _percentile(ordered, 50), "stddev": math.sqrt(variance)}
    return {f"{_HISTOGRAM}_{name}": value for name, value in sorted(figures.items())}


def _as_json(durations_ns: Sequence[int], extra: Mapping[str, float]) -> str:
    document = {"N": len(durations_ns), "T": sum(durations_ns), "Bytes": 0}
    return indented(in_order({**document, "MemAllocs": 0, "MemBytes": 0, "Extra": extra}))


def _gobench(durations_ns: Sequence[int], extra: Mapping[str, float]) -> str:
    figures = {"ns/op": _per_operation(durations_ns), **extra}
    shown = "".join(f"\t{figure(value):>10} {name}" for name, value in figures.items())
    return f"BenchmarkOPAEval\t{len(durations_ns):8}{shown}\n"


def _pretty(durations_ns: Sequence[int], extra: Mapping[str, float]) -> str:
    figures = {"ns/op": _per_operation(durations_ns), **extra}
    rows = [("samples", str(len(durations_ns)))]
    return plain_table([*rows, *((name, figure(value)) for name, value in figures.items())])


def _per_operation(durations_ns: Sequence[int]) -> float:
    return sum(durations_ns) / len(durations_ns)


def figure(value: float) -> str:
    """Return a number with at least three significant digits, as Go's benchmarks print it."""
    decimals = 0
    while 0 < value < 99.95 / 10**decimals and decimals < 6:
        decimals += 1
    return f"{value:.{decimals}f}"


def _percentile(ordered: Sequence[int], percent: float) -> float:
    position = percent / 100 * (len(ordered) + 1)
    if position < 1:
        return float(ordered[0])
    if position >= len(ordered):
        return float(ordered[-1])
    below = ordered[int(position) - 1]
    return below + (position - int(position)) * (ordered[int(position)] - below)


FORMATS: Final[Mapping[str, Callable[[Sequence[int], Mapping[str, float]], str]]] = {
    "pretty": _pretty,
    "json": _as_json,
    "gobench": _gobench,
}
