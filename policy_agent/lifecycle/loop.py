"""The extension's loop: next, work beside the function, ship after it, next again.

One caller of `next`. On INVOKE a bundle refresh that is due starts beside the function; the log is
shipped there or once the runtime is done, as `flush_control` decides. All of it is settled before
`next`, because whatever is under way then is frozen in the middle.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from policy_agent.lifecycle.api import Event, ExtensionsApi
from policy_agent.lifecycle.deadline import Deadlines
from policy_agent.lifecycle.flush_control import (
    DEADLINE_MARGIN_MS,
    MAX_AFTER_RESPONSE_MS,
    FlushDecision,
    Load,
    Moment,
    Pace,
    Plan,
    decide,
)
from policy_agent.lifecycle.telemetry import FinishedRequests

log = logging.getLogger(__name__)


class Work(Protocol):
    """What the loop sets in motion; the agent provides it."""

    @property
    def backlog_events(self) -> int:
        """How many entries of the decision log wait to be shipped."""

    @property
    def has_news(self) -> bool:
        """Whether there is anything else to send."""

    def invoked(self, event: Event) -> None:
        """Take note of the invocation that is starting."""

    def finished(self, after_response_ms: float) -> None:
        """Take note that it is over: what is decided from now on belongs to another.

        Args:
            after_response_ms: how long it was held back once the function had answered.
        """

    def ended(self, shutdown_ms: float) -> None:
        """Take note that this is the end, and how long it took to get ready for it."""

    def due_refresh(self) -> Coroutine[Any, Any, None] | None:
        """Return the bundle refresh that is due, None when none is."""

    async def flush(self, decision: FlushDecision) -> None:
        """Ship the decision log within the budget; never raises."""


class ExtensionLoop:
    """Handles events until SHUTDOWN."""

    def __init__(
        self,
        api: ExtensionsApi,
        work: Work,
        finished: FinishedRequests | None,
        plan: Callable[[], Plan] = Plan,
        wall_ms: Callable[[], float] = lambda: time.time() * 1000,
        monotonic_ms: Callable[[], float] = lambda: time.monotonic() * 1000,
    ) -> None:
        """Create a loop.

        Args:
            finished: None where Lambda refused telemetry.
            plan: says when to ship; asked each time, since the settings may change.
        """
        self._api = api
        self._work = work
        self._finished = finished
        self._plan = plan
        self._wall_ms = wall_ms
        self._monotonic_ms = monotonic_ms
        self._deadlines = Deadlines()
        self._deadline_ms = 0.0  # of the event under way, by the monotonic clock
        self._pace = Pace()
        self._count_when_in_vain: int | None = None
        self._tried_ms: float | None = None
        self._answered_ms: float | None = None

    async def run(self) -> None:
        """Handle events until SHUTDOWN.

        Raises:
            ExtensionsApiError: Lambda refused `next`.
        """
        while True:
            event = await self._api.next()
            is_shutdown = event.event_type == "SHUTDOWN"
            self._deadline_ms = self._deadlines.of(
                event.deadline_ms,
                wall_ms=self._wall_ms(),
                monotonic_ms=self._monotonic_ms(),
                is_shutdown=is_shutdown,
            )
            if is_shutdown:
                began_ms = self._monotonic_ms()
                await self._flush(Moment.SHUTDOWN)
                self._work.ended(self._monotonic_ms() - began_ms)
                return
            try:
                await self._invoke(event)
            finally:
                answered_ms, self._answered_ms = self._answered_ms, None
                now_ms = self._monotonic_ms()
                self._work.finished(0 if answered_ms is None else now_ms - answered_ms)

    async def _invoke(self, event: Event) -> None:
        self._pace.invoked(self._wall_ms())
        self._work.invoked(event)
        due = self._work.due_refresh()
        beside = [asyncio.create_task(due, name="bundle refresh")] if due is not None else []
        if self._tells_end:
            flushing = self._flush(Moment.INVOKE)
            beside.append(asyncio.create_task(flushing, name="shipping"))
            await self._until_answered(event)
            await self._flush(Moment.RUNTIME_DONE)
        else:
            await self._flush(Moment.INVOKE)
        if beside:
            await self._settle(beside)

    @property
    def _tells_end(self) -> bool:
        """Whether Lambda tells when a function has answered, as far as is known."""
        finished = self._finished
        # One that came after all, too late to be waited for, shows that they do come.
        return finished is not None and finished.count != self._count_when_in_vain

    async def _until_answered(self, event: Event) -> None:
        assert self._finished is not None
        left_seconds = (self._left_ms() - DEADLINE_MARGIN_MS) / 1000
        if await self._finished.wait(event.request_id, left_seconds):
            self._answered_ms = self._monotonic_ms()
            return
        # Waiting in vain costs the whole timeout of every invocation: do it once.
        log.warning("No runtimeDone came for %s; no longer waiting", event.request_id)
        self._count_when_in_vain = self._finished.count

    async def _flush(self, moment: Moment) -> None:
        wall_ms = self._wall_ms()
        decision = decide(moment, self._plan(), self._load(wall_ms), left_ms=self._left_ms())
        if decision.budget_seconds > 0:
            self._tried_ms = wall_ms
            await self._work.flush(decision)

    def _left_ms(self) -> float:
        return self._deadline_ms - self._monotonic_ms()

    def _load(self, wall_ms: float) -> Load:
        tried_ms = self._tried_ms
        # A wall clock that was set back says nothing of how long ago that was.
        is_known = tried_ms is not None and tried_ms <= wall_ms
        return Load(
            backlog_events=self._work.backlog_events,
            has_news=self._work.has_news,
            gap_seconds=self._pace.gap_seconds,
            unshipped_seconds=(wall_ms - tried_ms) / 1000 if is_known and tried_ms else None,
            tells_end=self._tells_end,
        )

    async def _settle(self, tasks: list[asyncio.Task[None]]) -> None:
        left_ms = max(self._left_ms() - DEADLINE_MARGIN_MS, 0)
        _, late = await asyncio.wait(tasks, timeout=min(left_ms, MAX_AFTER_RESPONSE_MS) / 1000)
        for task in late:
            # A transfer that a freeze would cut in half; it is due again at the next INVOKE.
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
