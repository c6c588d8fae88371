"""A local Lambda Managed Instance: concurrent invocations, never frozen, extensions told the end.

    settings = LambdaSettings(function_dir, "app.handler", layer_dir=layer, max_concurrency=4)
    async with ManagedLambda(settings) as env:
        invocations = await asyncio.gather(*(env.invoke({"n": n}) for n in range(20)))

Extensions may register for SHUTDOWN alone, telemetry has only its newest schema and no runtimeDone;
a function's timeout fails one invocation and resets nothing; a failed Init, like a runtime or an
extension that exits, ends the environment. AWS Lambda developer guide, "Lambda Managed Instances".
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import replace

from starlette.routing import Route

from policy_agent.emulator import platform_events
from policy_agent.emulator.failure import Failure, timed_out
from policy_agent.emulator.generation import Generation
from policy_agent.emulator.invocation import Completion, Invocation
from policy_agent.emulator.managed_runtime_api import ManagedRuntimeApi
from policy_agent.emulator.sandbox import LocalLambda, LogLine
from policy_agent.emulator.settings import MANAGED_INSTANCES, LambdaSettings


class ManagedLambda(LocalLambda):
    """One environment of a Managed Instance; used as `LocalLambda` is."""

    def __init__(
        self, settings: LambdaSettings, *, on_log: Callable[[LogLine], None] | None = None
    ) -> None:
        shaped = replace(settings, initialization_type=MANAGED_INSTANCES, freeze=False)
        super().__init__(shaped, on_log=on_log)
        self._runtime_api = ManagedRuntimeApi(self._generation, self._settings, self.events)

    def _runtime_routes(self) -> list[Route]:
        return self._runtime_api.routes()

    async def _rest(self) -> None:
        """Do nothing: a Managed Instance never rests."""

    async def _drive(self, invocation: Invocation) -> Completion:
        init = await self.init()
        generation = self._generation()
        if generation is None or init.failure is not None:
            failure = init.failure or Failure("Sandbox.Destroyed", "the environment has ended")
            invocation.fail(failure)
            return _completion(invocation, 0.0)
        return await self._serve(invocation, generation)

    async def _serve(self, invocation: Invocation, generation: Generation) -> Completion:
        seconds = self._settings.timeout_seconds
        invocation.begin(seconds)
        self.events.record("invoke", request_id=invocation.request_id)
        self._hub.emit("platform.start", platform_events.start(invocation))
        self._runtime_api.hand_out(invocation)
        try:
            async with asyncio.timeout(seconds):
                await generation.until_changed(lambda: invocation.answered)
        except TimeoutError:
            invocation.fail(timed_out(seconds))
        self._runtime_api.forget(invocation)
        if generation.failure is not None and not invocation.answered:
            invocation.fail(generation.failure)
        duration_ms = (time.monotonic_ns() - invocation.started_ns) / 1e6
        record = platform_events.managed_report(invocation, duration_ms)
        self._hub.emit("platform.report", record)
        return _completion(invocation, duration_ms)


def _completion(invocation: Invocation, duration_ms: float) -> Completion:
    failure = invocation.failure
    return Completion(
        status=failure.status if failure else "success",
        error_type=failure.error_type if failure else "",
        runtime_ms=duration_ms,
        post_runtime_extensions_ms=0.0,
        total_ms=duration_ms,
        billed_ms=math.ceil(duration_ms),
    )
