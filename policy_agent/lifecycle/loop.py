"""The extension's loop: next, work beside the function, ship after it, next again.

One caller of `next`. On INVOKE a bundle refresh that is due starts beside the function; once the
runtime is done (or, where Lambda gives no telemetry, at once) the log is shipped, and both are
settled before `next`, because whatever is under way then is frozen in the middle.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from policy_agent.lifecycle.api import Event, ExtensionsApi
from policy_agent.lifecycle.flush_control import (
    DEADLINE_MARGIN_MS,
    MAX_AFTER_RESPONSE_MS,
    FlushDecision,
    Moment,
    decide,
)
from policy_agent.lifecycle.telemetry import FinishedRequests

log = logging.getLogger(__name__)


class Work(Protocol):
    """What the loop sets in motion; the agent provides it."""

    @property
    def has_backlog(self) -> bool:
        """Whether there are decisions to ship."""

    def invoked(self, event: Event) -> None:
        """Take note of the invocation that is starting."""

    def finished(self) -> None:
        """Take note that it is over: what is decided from now on belongs to another."""

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
        clock_ms: Callable[[], float] = lambda: time.time() * 1000,
    ) -> None:
        """Create a loop.

        Args:
            finished: None where Lambda refused telemetry.
        """
        self._api = api
        self._work = work
        self._finished = finished
        self._clock_ms = clock_ms

    async def run(self) -> None:
        """Handle events until SHUTDOWN.

        Raises:
            ExtensionsApiError: Lambda refused `next`.
        """
        while True:
            event = await self._api.next()
            if event.event_type == "SHUTDOWN":
                await self._flush(Moment.SHUTDOWN, event)
                return
            try:
                await self._invoke(event)
            finally:
                self._work.finished()

    async def _invoke(self, event: Event) -> None:
        self._work.invoked(event)
        due = self._work.due_refresh()
        refresh = asyncio.create_task(due, name="bundle refresh") if due is not None else None
        if self._finished is None:
            await self._flush(Moment.INVOKE, event)
        else:
            remaining_ms = event.deadline_ms - self._clock_ms() - DEADLINE_MARGIN_MS
            if not await self._finished.wait(event.request_id, remaining_ms / 1000):
                # Waiting in vain costs the whole timeout of every invocation: do it once.
                log.warning("No runtimeDone came for %s; no longer waiting", event.request_id)
                self._finished = None
            await self._flush(Moment.RUNTIME_DONE, event)
        if refresh is not None:
            await self._settle(refresh, event)

    async def _flush(self, moment: Moment, event: Event) -> None:
        decision = decide(
            moment,
            has_backlog=self._work.has_backlog,
            now_ms=self._clock_ms(),
            deadline_ms=event.deadline_ms,
        )
        if decision.budget_seconds > 0:
            await self._work.flush(decision)

    async def _settle(self, refresh: asyncio.Task[None], event: Event) -> None:
        remaining_ms = event.deadline_ms - self._clock_ms() - DEADLINE_MARGIN_MS
        budget_seconds = min(max(remaining_ms, 0), MAX_AFTER_RESPONSE_MS) / 1000
        await asyncio.wait([refresh], timeout=budget_seconds)
        if not refresh.done():
            # A download that a freeze would cut in half; it is due again at the next INVOKE.
            refresh.cancel()
        await asyncio.gather(refresh, return_exceptions=True)
