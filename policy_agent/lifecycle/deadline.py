"""Tell by the monotonic clock when an event must be over, though Lambda tells it by the wall clock.

Pure. The wall clock may be set at any time, before an event or in the middle of it; taken at its
word, an invocation would look long over, or endless. So the deadline is looked at once, when its
event comes, and only believed where it can be true.
"""

from __future__ import annotations

from typing import Final

MOST_INVOCATION_MS: Final = 900_000  # the longest timeout that a function can have
SHUTDOWN_MS: Final = 2000  # what Lambda gives extensions to shut down
_FIRST_INVOCATION_MS: Final = 3000  # Lambda's default timeout, while nothing else is known


class Deadlines:
    """Knows how long the events of one environment may take."""

    def __init__(self) -> None:
        self._invocation_ms: float = _FIRST_INVOCATION_MS

    def of(
        self, event_deadline_ms: float, *, wall_ms: float, monotonic_ms: float, is_shutdown: bool
    ) -> float:
        """Return when an event that has just come must be over, by the monotonic clock.

        Args:
            event_deadline_ms: as Lambda says it, by the wall clock, as is `wall_ms`.
        """
        left_ms = event_deadline_ms - wall_ms
        if is_shutdown:
            return monotonic_ms + (left_ms if 0 < left_ms <= SHUTDOWN_MS else SHUTDOWN_MS)
        if 0 < left_ms <= MOST_INVOCATION_MS:
            self._invocation_ms = left_ms
        # Otherwise as long as the one before: a function's timeout is that of its environment.
        return monotonic_ms + self._invocation_ms
