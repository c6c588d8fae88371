"""The life of one environment: one generation of processes after the other.

Each goes through Init, Invoke, freeze and Shutdown. The caller sees to it that only one step runs
at a time.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import replace

from policy_agent.emulator import platform_events
from policy_agent.emulator.events import EventLog
from policy_agent.emulator.failure import DESTROYED, Failure, timed_out
from policy_agent.emulator.generation import Generation
from policy_agent.emulator.invocation import Completion, Invocation
from policy_agent.emulator.phases import InitReport, Phase, Phases, Served
from policy_agent.emulator.settings import RESTORE_LIMIT_SECONDS, SNAP_START, LambdaSettings
from policy_agent.emulator.shutdown import Reason, ShutdownReport, shut_down
from policy_agent.emulator.telemetry import TelemetryHub


class Lifecycle:
    """Drives the generations of one environment.

    Attributes:
        generation: the current one, None before the first Init and after each reset.
        inits: every Init so far, oldest first.
        shutdowns: every reset and the spin-down, oldest first.
    """

    def __init__(
        self,
        settings: LambdaSettings,
        hub: TelemetryHub,
        events: EventLog,
        new_generation: Callable[[], Generation],
    ) -> None:
        self.generation: Generation | None = None
        self.inits: list[InitReport] = []
        self.shutdowns: list[ShutdownReport] = []
        self._settings = settings
        self._hub = hub
        self._events = events
        self._new_generation = new_generation
        self._frozen = False
        self._destroyed = False

    async def first_init(self) -> InitReport:
        """Run the Init phase proper; after a failed one the next `serve` tries again."""
        limit = self._settings.init_limit_seconds
        deadline = asyncio.get_running_loop().time() + limit
        return await self._init("init", deadline, timed_out(limit))

    async def serve(self, invocation: Invocation, init: InitReport | None) -> Completion:
        """Run one invocation to its end and, when it brought the environment down, the reset.

        Args:
            init: the Init phase that the invocation had to wait for.
        """
        self._thaw()
        seconds = self._settings.timeout_seconds
        deadline = asyncio.get_running_loop().time() + seconds
        invocation.begin(seconds)
        self._events.record("invoke", request_id=invocation.request_id)
        self._hub.emit("platform.start", platform_events.start(invocation))
        peak_mb = 0
        served = await self._attempt(invocation, deadline, timed_out(seconds))
        if self.generation is not None:
            peak_mb = self.generation.peak_memory_kib // 1024
        if served.failure is not None:
            invocation.fail(served.failure)
            await self._end(served.failure.shutdown_reason)
        cold = init.duration_ms if init is not None and init.failure is None else None
        completion = _completion(invocation, served, cold)
        self._hub.rest()
        record = platform_events.report(
            invocation,
            completion,
            init_ms=cold,
            memory_mb=self._settings.memory_mb,
            peak_memory_mb=peak_mb,
        )
        self._hub.emit("platform.report", record)
        return completion

    async def rest(self) -> None:
        """Stop delivering telemetry and, where the settings say so, freeze the processes."""
        self._hub.rest()
        if self._settings.freeze and self.generation is not None:
            await self.generation.freeze()
            for relay in self._settings.relays:
                relay.freeze()
            self._frozen = True
            self._events.record("freeze")

    async def spin_down(self) -> ShutdownReport:
        """End the environment because nothing happens any more."""
        self._thaw()
        return await self._end("spindown")

    async def abort(self) -> None:
        """Kill everything at once; a step that is under way, and any later one, fails soon."""
        self._destroyed = True
        if self.generation is not None:
            self.generation.fail(DESTROYED)
            await self.generation.kill()

    async def bury(self) -> None:
        """Clean up after `abort`, when no step is under way any more."""
        if self.generation is not None:
            await self.generation.kill()
            self.generation = None
        await self._hub.reset()

    async def _attempt(self, invocation: Invocation, deadline: float, too_late: Failure) -> Served:
        if self.generation is None:
            init = await self._init("invoke", deadline, too_late)
            if init.failure is not None:
                spent_ms = (time.monotonic_ns() - invocation.started_ns) / 1e6
                return Served(spent_ms, spent_ms, init.failure)
        assert self.generation is not None
        phases = Phases(self.generation, self._settings, self._hub, self._events)
        return await phases.invoke(invocation, deadline, too_late)

    async def _init(self, phase: Phase, deadline: float, too_late: Failure) -> InitReport:
        self._hub.wake()
        self.generation = self._new_generation()
        if self._destroyed:
            self.generation.fail(DESTROYED)
        phases = Phases(self.generation, self._settings, self._hub, self._events)
        report = await phases.init(phase, deadline, too_late)
        if report.failure is None and self._settings.initialization_type == SNAP_START:
            report = replace(report, failure=await self._restore(phases))
        self.inits.append(report)
        if report.failure is not None:
            await self._end(report.failure.shutdown_reason)
        return report

    async def _restore(self, phases: Phases) -> Failure | None:
        """Freeze what Init has made, as for a snapshot, and go on as one of its copies does."""
        await self.rest()
        self._thaw()
        deadline = asyncio.get_running_loop().time() + RESTORE_LIMIT_SECONDS
        return await phases.restore(deadline, timed_out(RESTORE_LIMIT_SECONDS))

    async def _end(self, reason: Reason) -> ShutdownReport:
        generation, report = self.generation, ShutdownReport(reason, {})
        if generation is not None:
            self._hub.hurry()
            report = await shut_down(generation, reason, self._events)
            self.shutdowns.append(report)
            self.generation = None
        await self._hub.reset()
        return report

    def _thaw(self) -> None:
        if self._frozen and self.generation is not None:
            for relay in self._settings.relays:
                relay.thaw()
            self.generation.thaw()
            self._events.record("thaw")
        self._frozen = False
        self._hub.wake()


def _completion(invocation: Invocation, served: Served, init_ms: float | None) -> Completion:
    failure = invocation.failure
    return Completion(
        status=failure.status if failure else "success",
        error_type=failure.error_type if failure else "",
        runtime_ms=served.runtime_ms,
        post_runtime_extensions_ms=served.total_ms - served.runtime_ms,
        total_ms=served.total_ms,
        billed_ms=math.ceil(served.total_ms + (init_ms or 0.0)),
    )
