"""Decide whether to ship the decision log now, and how long that may take.

Pure: a moment and the clock in, a `FlushDecision` out; the loop acts on it. Shipping never runs
into the function's deadline, and after a response it is bounded so that it cannot hold back the
next invocation for long.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

# Left to the rest of the way to `next` before the function's deadline.
DEADLINE_MARGIN_MS = 100
# Of the 2,000 ms that Lambda gives extensions to shut down, kept for exiting by ourselves.
SHUTDOWN_MARGIN_MS = 300
# The most that one invocation's shipping may add to its billed time; the rest stays in the spool.
MAX_AFTER_RESPONSE_MS = 2000


class Moment(Enum):
    """When the question is asked."""

    RUNTIME_DONE = "runtime done"  # the function has answered
    INVOKE = "invoke"  # without telemetry: the function is starting, its end will not be told
    SHUTDOWN = "shutdown"


@dataclass(frozen=True, slots=True)
class FlushDecision:
    """What to do.

    Attributes:
        budget_seconds: 0 means do not ship now.
        force: try even a receiver that has just failed; there is no later.
    """

    budget_seconds: float
    force: bool = False


def decide(
    moment: Moment, *, has_backlog: bool, now_ms: float, deadline_ms: float
) -> FlushDecision:
    """Return whether to ship at `moment`, given the deadline of the event being handled.

    Args:
        now_ms: wall clock, milliseconds since the epoch, as `deadline_ms` is.
    """
    if not has_backlog:
        return FlushDecision(0)
    if moment is Moment.SHUTDOWN:
        remaining_ms = deadline_ms - now_ms - SHUTDOWN_MARGIN_MS
        return FlushDecision(max(remaining_ms, 0) / 1000, force=True)
    remaining_ms = deadline_ms - now_ms - DEADLINE_MARGIN_MS
    return FlushDecision(min(max(remaining_ms, 0), MAX_AFTER_RESPONSE_MS) / 1000)
