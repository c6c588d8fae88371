"""The loop over a scripted Extensions API: when it waits for the function, and when it ships."""

import asyncio
import time
from typing import cast

from policy_agent.lifecycle.api import Event, ExtensionsApi
from policy_agent.lifecycle.flush_control import Plan
from policy_agent.lifecycle.loop import ExtensionLoop
from policy_agent.lifecycle.telemetry import FinishedRequests

TIMEOUT_MS = 300


class Script:
    """Hands out invocations, each of which decides once, and tells when the function is done."""

    def __init__(self, *invocations):
        """Take what happens in each: (seconds that the wall clock is off, when runtimeDone comes).

        None for a runtimeDone that never comes.
        """
        self.finished = FinishedRequests()
        self.offset_seconds = 0.0
        self.shipped = []
        self.after_response_ms = []
        self.backlog_events = 0
        self.has_news = False
        self._invocations = list(invocations)
        self._number = 0
        self._telling = []

    def wall_ms(self):
        return (time.time() + self.offset_seconds) * 1000

    async def next(self):
        await asyncio.gather(*self._telling)
        if not self._invocations:
            return Event("SHUTDOWN", int(time.time() * 1000) + 2000)
        self.offset_seconds, done_after_seconds = self._invocations.pop(0)
        self._number += 1
        request_id = f"r-{self._number}"
        if done_after_seconds is not None:
            self._telling.append(asyncio.create_task(self._tell(request_id, done_after_seconds)))
        return Event("INVOKE", int(time.time() * 1000) + TIMEOUT_MS, request_id)

    async def _tell(self, request_id, after_seconds):
        await asyncio.sleep(after_seconds)
        record = {"requestId": request_id}
        self.finished.add_events([{"type": "platform.runtimeDone", "record": record}])

    def invoked(self, event):
        self.backlog_events += 1

    def ended(self, shutdown_ms):
        self.shutdown_ms = shutdown_ms

    def finished_(self, after_response_ms):
        self.after_response_ms.append(after_response_ms)

    def due_refresh(self):
        return None

    async def flush(self, decision):
        self.shipped.append((self._number, self.backlog_events))
        self.backlog_events = 0


class ScriptedWork:
    """The script in its other role, where `finished` is a method."""

    def __init__(self, script):
        self._script = script
        self.finished = script.finished_

    def __getattr__(self, name):
        return getattr(self._script, name)


def lived(*invocations):
    async def live():
        script = Script(*invocations)
        loop = ExtensionLoop(
            cast("ExtensionsApi", script),
            ScriptedWork(script),
            script.finished,
            lambda: Plan("end"),
            wall_ms=script.wall_ms,
        )
        await loop.run()
        return script

    return asyncio.run(live())


def test_each_decision_is_shipped_after_its_own_invocation_whatever_the_wall_clock_says():
    script = lived((0, 0.01), (7200, 0.01), (0, 0.01), (-7200, 0.01), (5, 0.01), (0, 0.01))
    assert script.shipped == [(number, 1) for number in range(1, 7)]


def test_how_long_an_invocation_is_held_back_does_not_depend_on_the_wall_clock():
    script = lived((0, 0.01), (7200, 0.01))
    assert all(0 <= ms < TIMEOUT_MS for ms in script.after_response_ms)


def test_where_the_end_is_not_told_what_is_left_goes_with_the_next_start():
    script = lived((0, None), (0, None), (0, None))
    # The first is waited for in vain, until just before its deadline.
    assert script.shipped == [(2, 2), (3, 1)]


def test_an_end_that_is_told_too_late_once_is_waited_for_again():
    script = lived((0, TIMEOUT_MS / 1000 - 0.05), (0, 0.01), (0, 0.01))
    assert script.shipped[-1] == (3, 1)
    assert script.after_response_ms[-1] > 0
