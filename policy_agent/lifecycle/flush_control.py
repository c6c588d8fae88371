"""Decide whether to ship the decision log now, and how long that may take.

Pure: a moment, how busy the function is and the time left in, a `FlushDecision` out; the loop acts
on it. Shipping never runs into the function's deadline, and after a response it is bounded so that
it cannot hold back the next invocation for long. The strategies follow those of Datadog's Lambda
extension:

* `end`: after every response. Nothing waits in a sandbox that may never wake again.
* `periodic`: after a response, once the interval has passed.
* `continuous`: beside the function's work, once the interval has passed; adds nothing after it.
* `adaptive`: `end` while invocations are rare, `continuous` while they follow one another.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from msgspec import Struct

# Left to the rest of the way to `next` before the function's deadline.
DEADLINE_MARGIN_MS = 100
# Of the 2,000 ms that Lambda gives extensions to shut down, kept for exiting by ourselves.
SHUTDOWN_MARGIN_MS = 300
# The most that one invocation's shipping may add to its billed time; the rest stays in the spool.
MAX_AFTER_RESPONSE_MS = 2000
# Closer together than this, invocations follow one another: the next one comes soon enough.
BUSY_GAP_SECONDS: Final = 1.0
# So many entries do not wait for the interval.
MANY_EVENTS: Final = 1000
_NEWEST_GAP_SHARE: Final = 0.3
# What is assumed before anything is known: it takes seven invocations in a row to call it busy.
_FIRST_GAP_SECONDS: Final = 10.0


class Moment(Enum):
    """When the question is asked."""

    INVOKE = "invoke"  # the function is starting
    RUNTIME_DONE = "runtime done"  # it has answered
    SHUTDOWN = "shutdown"


class Plan(Struct, frozen=True):
    """What was configured: a strategy's name, and the interval where it has one."""

    strategy: str = "adaptive"
    interval_seconds: float = 10


class Load(Struct, frozen=True):
    """How things stand.

    Attributes:
        backlog_events: how many entries wait.
        has_news: whether there is anything else to send.
        gap_seconds: between the starts of invocations lately.
        unshipped_seconds: since shipping was last tried; None before the first time.
        tells_end: whether Lambda will tell when the runtime is done.
    """

    backlog_events: int = 0
    has_news: bool = False
    gap_seconds: float = _FIRST_GAP_SECONDS
    unshipped_seconds: float | None = None
    tells_end: bool = True


class FlushDecision(Struct, frozen=True):
    """What to do.

    Attributes:
        budget_seconds: 0 means do not ship now.
        force: try even a receiver that has just failed; there is no later.
    """

    budget_seconds: float
    force: bool = False


class Pace:
    """Notes when invocations start, and how far apart they are on the whole."""

    def __init__(self) -> None:
        self.gap_seconds = _FIRST_GAP_SECONDS
        self._last_ms: float | None = None

    def invoked(self, now_ms: float) -> None:
        """Note one start; the newest gap counts for a third, so that a pause shows at once."""
        if self._last_ms is not None:
            gap = max(now_ms - self._last_ms, 0) / 1000
            self.gap_seconds += _NEWEST_GAP_SHARE * (gap - self.gap_seconds)
        self._last_ms = now_ms


def decide(moment: Moment, plan: Plan, load: Load, *, left_ms: float) -> FlushDecision:
    """Return whether to ship at `moment`.

    Args:
        left_ms: until the deadline of the event being handled.
    """
    if not load.backlog_events and not load.has_news:
        return FlushDecision(0)
    if moment is Moment.SHUTDOWN:
        return FlushDecision(max(left_ms - SHUTDOWN_MARGIN_MS, 0) / 1000, force=True)
    if not _is_time(moment, plan, load):
        return FlushDecision(0)
    budget_ms = max(left_ms - DEADLINE_MARGIN_MS, 0)
    is_beside = moment is Moment.INVOKE and load.tells_end
    return FlushDecision((budget_ms if is_beside else min(budget_ms, MAX_AFTER_RESPONSE_MS)) / 1000)


def _is_time(moment: Moment, plan: Plan, load: Load) -> bool:
    strategy = plan.strategy
    if strategy == "adaptive":
        is_busy = load.gap_seconds < BUSY_GAP_SECONDS
        strategy = "continuous" if is_busy else "end"
    if not load.tells_end:
        # The start is the only moment there is: what the last invocation left goes now.
        return moment is Moment.INVOKE and (strategy == "end" or _is_overdue(plan, load))
    if strategy == "end":
        return moment is Moment.RUNTIME_DONE
    chosen = Moment.INVOKE if strategy == "continuous" else Moment.RUNTIME_DONE
    return moment is chosen and _is_overdue(plan, load)


def _is_overdue(plan: Plan, load: Load) -> bool:
    if load.unshipped_seconds is None or load.backlog_events >= MANY_EVENTS:
        return True
    return load.unshipped_seconds >= plan.interval_seconds
