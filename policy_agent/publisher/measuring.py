"""Measure how long calls take."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_BENCHMARK_NS: Final = 1_000_000_000  # As Go's testing package runs a benchmark.


def durations_ns(call: Callable[[], object]) -> list[int]:
    """Return the duration of each call, in nanoseconds, of as many as fill a second."""
    durations: list[int] = []
    ends_at_ns = time.perf_counter_ns() + _BENCHMARK_NS
    started_ns = 0
    while started_ns < ends_at_ns:
        started_ns = time.perf_counter_ns()
        call()
        durations.append(time.perf_counter_ns() - started_ns)
    return durations
