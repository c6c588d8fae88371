"""Wait longer after each failure in a row (OPA v1.22 v1/util/backoff.go, base 100 ms).

Pure: the time is an argument. Both clocks count, since a frozen sandbox may stop the monotonic
one: the wait is over as soon as either says so.
"""

from __future__ import annotations

import random

from msgspec import Struct

_BASE_SECONDS = 0.1
_FACTOR = 1.6
_JITTER = 0.2


class Moment(Struct, frozen=True):
    """One point in time on both clocks, in seconds."""

    wall: float
    monotonic: float


class Backoff:
    """When to try next; the first retry is immediate, as in OPA."""

    def __init__(self, max_delay_seconds: float) -> None:
        self._max_delay_seconds = max_delay_seconds
        self._failures = 0
        self._failed_at = Moment(0, 0)
        self.delay_seconds = 0.0

    def failed(self, now: Moment) -> None:
        """Note a failure and draw the delay after it."""
        self._failed_at = now
        delay = 0.0
        if self._failures:
            # From 60 failures on the power is beyond any maximum and would overflow a float.
            grown = _BASE_SECONDS * _FACTOR ** min(self._failures, 60)
            spread = 1 + _JITTER * random.uniform(-1, 1)  # noqa: S311 - not for secrets
            delay = min(grown, self._max_delay_seconds) * spread
        self.delay_seconds = delay
        self._failures += 1

    def succeeded(self) -> None:
        """Forget the failures."""
        self._failures = 0
        self.delay_seconds = 0.0

    def is_due(self, now: Moment) -> bool:
        """Whether the delay has passed."""
        elapsed = max(now.wall - self._failed_at.wall, now.monotonic - self._failed_at.monotonic)
        return elapsed >= self.delay_seconds
