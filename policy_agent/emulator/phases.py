"""The two phases that end with everybody waiting in `next`: Init and Invoke.

Lambda developer guide, "Lambda execution environment lifecycle"; the order of steps is that of the
init program in aws-lambda-runtime-interface-emulator (internal/lambda/rapid).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from policy_agent.emulator import platform_events
from policy_agent.emulator.events import EventLog
from policy_agent.emulator.failure import Failure
from policy_agent.emulator.generation import Generation
from policy_agent.emulator.invocation import Invocation
from policy_agent.emulator.settings import SNAP_START, LambdaSettings
from policy_agent.emulator.telemetry import TelemetryHub
from policy_agent.model import JsonObject

Phase = Literal["init", "invoke"]


@dataclass(frozen=True, slots=True)
class InitReport:
    """One Init.

    Attributes:
        phase: `invoke` when a failed or reset environment was initialized again in an Invoke.
        failure: None for success.
    """

    phase: Phase
    duration_ms: float
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class Served:
    """How long the parts of one Invoke took, in ms from the start of the invocation."""

    runtime_ms: float
    total_ms: float
    failure: Failure | None


class Phases:
    """Runs the phases of one generation."""

    def __init__(
        self,
        generation: Generation,
        settings: LambdaSettings,
        hub: TelemetryHub,
        events: EventLog,
    ) -> None:
        self._generation = generation
        self._settings = settings
        self._hub = hub
        self._events = events

    async def init(self, phase: Phase, deadline: float, too_late: Failure) -> InitReport:
        """Start everything; done when runtime and extensions wait in `next`.

        Args:
            deadline: on the loop's clock.
            too_late: the failure at the deadline.
        """
        generation = self._generation
        self._events.record("init", phase=phase)
        started_ns = time.monotonic_ns()
        self._hub.emit("platform.initStart", platform_events.init_start(self._settings, phase))
        await generation.start_extensions()
        failure = await generation.until(generation.registered, deadline, too_late)
        if failure is None:
            await generation.start_runtime()
            ready = generation.runtime_ready
            if self._settings.initialization_type == SNAP_START:
                ready = generation.runtime_awaits_restore
            failure = await generation.until(ready, deadline, too_late)
        generation.registration_closed = True
        record = platform_events.init_runtime_done(self._settings, phase, failure)
        self._hub.emit("platform.initRuntimeDone", record)
        if failure is None:
            failure = await generation.until(generation.extensions_ready, deadline, too_late)
        generation.initialized = True
        duration_ms = _ms_since(started_ns)
        for extension in generation.extensions.values():
            record = platform_events.extension(
                extension.name, extension.state, extension.subscriptions, failure
            )
            self._hub.emit("platform.extension", record)
        record = platform_events.init_report(self._settings, phase, failure, duration_ms)
        self._hub.emit("platform.initReport", record)
        self._events.record("init_done", phase=phase, ok=failure is None)
        return InitReport(phase, duration_ms, failure)

    async def restore(self, deadline: float, too_late: Failure) -> Failure | None:
        """Go on from the snapshot: the runtime is told, extensions are not."""
        generation = self._generation
        self._events.record("restore")
        started_ns = time.monotonic_ns()
        self._hub.emit("platform.restoreStart", platform_events.restore_start(self._settings))
        generation.runtime.restore()
        failure = await generation.until(generation.runtime_ready, deadline, too_late)
        outcome = platform_events.outcome(failure)
        self._hub.emit("platform.restoreRuntimeDone", outcome)
        record = platform_events.restore_report(failure, _ms_since(started_ns))
        self._hub.emit("platform.restoreReport", record)
        return failure

    async def invoke(self, invocation: Invocation, deadline: float, too_late: Failure) -> Served:
        """Hand out one invocation; done when runtime and extensions wait in `next` again."""
        generation = self._generation
        event = invoke_event(invocation, self._settings)
        for extension in generation.extensions.values():
            if "INVOKE" in extension.subscriptions:
                extension.send(event)
        generation.runtime.send(invocation)
        failure = await generation.until(generation.runtime_ready, deadline, too_late)
        runtime_ms = _ms_since(invocation.started_ns)
        record = platform_events.runtime_done(invocation, failure or invocation.failure, runtime_ms)
        self._hub.emit("platform.runtimeDone", record)
        if failure is None:
            failure = await generation.until(generation.extensions_ready, deadline, too_late)
        return Served(runtime_ms, _ms_since(invocation.started_ns), failure)


def invoke_event(invocation: Invocation, settings: LambdaSettings) -> JsonObject:
    """Return the INVOKE event that extensions get."""
    return {
        "eventType": "INVOKE",
        "deadlineMs": invocation.deadline_ms,
        "requestId": invocation.request_id,
        "invokedFunctionArn": settings.function_arn,
        **platform_events.tracing(invocation.trace_id),
    }


def _ms_since(start_ns: int) -> float:
    return (time.monotonic_ns() - start_ns) / 1e6
