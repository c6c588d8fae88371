"""End a generation of processes as Lambda does: the runtime first, then SHUTDOWN, then SIGKILL.

Budgets: Lambda developer guide, "Shutdown phase"; the runtime's share of 30 % is from
aws-lambda-runtime-interface-emulator (internal/lambda/rapid/shutdown.go).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from policy_agent.emulator.events import EventLog
from policy_agent.emulator.generation import Extension, Generation
from policy_agent.emulator.processes import Process

EXTERNAL_BUDGET_SECONDS = 2.0
INTERNAL_BUDGET_SECONDS = 0.5
RUNTIME_SHARE = 0.3

Reason = Literal["spindown", "timeout", "failure"]


@dataclass(frozen=True, slots=True)
class ExtensionExit:
    """How one extension ended.

    Attributes:
        by_itself: it exited after SHUTDOWN and before its deadline.
        after_ms: from the start of the shutdown.
    """

    by_itself: bool
    exit_code: int
    after_ms: float


@dataclass(frozen=True, slots=True)
class ShutdownReport:
    """One shutdown; `extensions` names those that still ran when it began."""

    reason: Reason
    extensions: Mapping[str, ExtensionExit]


async def shut_down(generation: Generation, reason: Reason, events: EventLog) -> ShutdownReport:
    """End all processes; none is left when this returns.

    The runtime gets SIGTERM only at spin-down; before a reset it is killed at once.
    """
    loop = asyncio.get_running_loop()
    started, started_ns = loop.time(), time.monotonic_ns()
    generation.ending = True
    budget = _budget_seconds(generation)
    deadline_ms = int((time.time() + budget) * 1000)
    events.record("shutdown", reason=reason, deadline_ms=deadline_ms)
    runtime = generation.runtime.process
    if runtime is not None and runtime.exit_code is None:
        if reason == "spindown" and budget:
            runtime.terminate()
            await generation.until_exited([runtime], started + RUNTIME_SHARE * budget)
        runtime.kill()
    running = _running(generation)
    told = {name: process for name, (extension, process) in running.items() if _wants(extension)}
    event = {"eventType": "SHUTDOWN", "deadlineMs": deadline_ms, "shutdownReason": reason}
    for name, (extension, process) in running.items():
        if name in told:
            extension.send(event)
        else:
            process.kill()
    await generation.until_exited(list(told.values()), started + budget)
    in_time = {name: process.exit_code is not None for name, process in told.items()}
    for name, exited in in_time.items():
        if not exited:
            events.record("kill", name)
    await generation.kill()
    exits = {}
    for name, (_, process) in running.items():
        at_ns = events.of("exit", name)[-1].at_ns
        exits[name] = ExtensionExit(
            by_itself=in_time.get(name, False),
            exit_code=process.exit_code or 0,
            after_ms=(at_ns - started_ns) / 1e6,
        )
    return ShutdownReport(reason, exits)


def _budget_seconds(generation: Generation) -> float:
    if any(extension.external for extension in generation.extensions.values()):
        return EXTERNAL_BUDGET_SECONDS
    return INTERNAL_BUDGET_SECONDS if generation.extensions else 0.0


def _running(generation: Generation) -> dict[str, tuple[Extension, Process]]:
    return {
        name: (extension, extension.process)
        for name, extension in generation.extensions.items()
        if extension.process is not None and extension.process.exit_code is None
    }


def _wants(extension: Extension) -> bool:
    return "SHUTDOWN" in extension.subscriptions
