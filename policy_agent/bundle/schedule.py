"""Decide when a bundle is asked for again.

Pure but for the clock it is handed. A sandbox may be frozen in between, so an age is the larger of
what the wall clock and the monotonic clock say. Delays follow OPA v1.22 v1/download/download.go and
v1/util/backoff.go.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from policy_agent.config import Delays

_BACKOFF_BASE_SECONDS: Final = 0.1
_BACKOFF_FACTOR: Final = 1.6
_BACKOFF_JITTER: Final = 0.2


class Clock(Struct, frozen=True):
    """Where times and random draws come from.

    Attributes:
        wall: seconds since the epoch; goes on while the sandbox is frozen, may be set back.
        monotonic: seconds since whenever; never goes back.
        uniform: a draw between two bounds.
    """

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    uniform: Callable[[float, float], float] = random.uniform


class Moment(Struct, frozen=True):
    """A point in time on both clocks."""

    wall: float
    monotonic: float

    @classmethod
    def now(cls, clock: Clock) -> Moment:
        """Return this moment."""
        return cls(clock.wall(), clock.monotonic())

    def age_seconds(self, clock: Clock) -> float:
        """Return how long ago it was, by the clock that says more."""
        return max(clock.wall() - self.wall, clock.monotonic() - self.monotonic)


class Schedule(Struct, frozen=True):
    """When one bundle was last asked for and how long to leave it."""

    delays: Delays
    attempted: Moment | None = None
    delay_seconds: float = 0
    failures: int = 0

    def seconds_until_due(self, clock: Clock) -> float:
        """Return how long to wait, 0 when the bundle is due now."""
        if self.attempted is None:
            return 0
        return max(0, self.delay_seconds - self.attempted.age_seconds(clock))

    def after_success(self, clock: Clock, *, long_polls: bool = False) -> Schedule:
        """Return the schedule after an attempt that ended well just now.

        Args:
            long_polls: the source does the waiting, so the next attempt is due at once.
        """
        delay = 0.0
        if not long_polls:
            delay = clock.uniform(self.delays.min_seconds, self.delays.max_seconds)
        return self._attempted(clock, delay, failures=0)

    def after_failure(self, clock: Clock) -> Schedule:
        """Return the schedule after an attempt that failed just now; the first retry is at once."""
        delay = backoff_seconds(self.failures, self.delays.max_seconds)
        if delay:
            delay *= clock.uniform(1 - _BACKOFF_JITTER, 1 + _BACKOFF_JITTER)
        return self._attempted(clock, delay, failures=self.failures + 1)

    def _attempted(self, clock: Clock, delay_seconds: float, *, failures: int) -> Schedule:
        return replace(
            self,
            attempted=Moment.now(clock),
            delay_seconds=delay_seconds,
            failures=failures,
        )


def backoff_seconds(retries: int, max_seconds: float) -> float:
    """Return the delay after so many earlier failures in a row, before jitter."""
    if retries == 0:
        return 0
    delay = _BACKOFF_BASE_SECONDS
    while retries and delay < max_seconds:
        delay *= _BACKOFF_FACTOR
        retries -= 1
    return min(delay, max_seconds)
