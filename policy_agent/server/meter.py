"""Count requests as OPA does: `http_request_duration_seconds` by code, handler and method."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

from policy_agent.server.exposition import Family, Labels, Sample, histogram

BUCKETS_SECONDS: Final = (1e-6, 5e-6, 1e-5, 5e-5, 1e-4, 5e-4, 1e-3, 0.01, 0.1, 1.0)
# Any other word would be a label that callers choose.
_METHODS: Final = {
    name: name.lower() for name in ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
}
_Key = tuple[int, str, str]


class Meter:
    """Durations of requests since the start."""

    def __init__(self) -> None:
        self._counts: dict[_Key, list[int]] = {}
        self._sums: dict[_Key, float] = {}

    def observe(self, handler: str, method: str, status: int, seconds: float) -> None:
        """Count one request."""
        key = (status, handler, method)
        counts = self._counts.get(key)
        if counts is None:
            key = (status, handler, method if method in _METHODS else "")
            counts = self._counts.setdefault(key, [0] * (len(BUCKETS_SECONDS) + 1))
        counts[bisect_left(BUCKETS_SECONDS, seconds)] += 1
        self._sums[key] = self._sums.get(key, 0.0) + seconds

    def family(self) -> Family:
        """Return what was counted."""
        return Family(
            "http_request_duration_seconds",
            "histogram",
            "A histogram of duration for requests.",
            tuple(self._samples()),
        )

    def _samples(self) -> Iterator[Sample]:
        for key in sorted(self._counts):
            status, handler, method = key
            labels: Labels = (
                ("code", str(status)),
                ("handler", handler),
                ("method", _METHODS.get(method, "unknown")),
            )
            yield from histogram(labels, BUCKETS_SECONDS, self._counts[key], self._sums[key])
