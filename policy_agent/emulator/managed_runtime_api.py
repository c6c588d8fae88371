"""The Runtime API where one runtime has many invocations under way: Lambda Managed Instances.

Each of the runtime's workers polls `next` by itself, and answers by request id in any order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from policy_agent.emulator.events import EventLog
from policy_agent.emulator.generation import RUNTIME, Generation, RuntimeState
from policy_agent.emulator.invocation import Invocation
from policy_agent.emulator.replies import gone
from policy_agent.emulator.runtime_api import InvocationApi, unknown_request
from policy_agent.emulator.settings import LambdaSettings


class ManagedRuntimeApi(InvocationApi):
    """Hands out invocations to whichever worker asks."""

    def __init__(
        self, current: Callable[[], Generation | None], settings: LambdaSettings, events: EventLog
    ) -> None:
        super().__init__(current, settings, events)
        self._waiting: asyncio.Queue[Invocation] = asyncio.Queue()
        self._workers = 0
        self._under_way: dict[str, Invocation] = {}

    def hand_out(self, invocation: Invocation) -> None:
        """Give an invocation to the next worker that asks."""
        self._waiting.put_nowait(invocation)

    def forget(self, invocation: Invocation) -> None:
        """Take no answer for it any more."""
        self._under_way.pop(invocation.request_id, None)

    async def _next(self, request: Request) -> Response:
        generation = self._current()
        if generation is None:
            return gone()
        self._workers += 1
        self._events.record("next", RUNTIME)
        if self._workers >= self._settings.max_concurrency:
            generation.runtime.state = RuntimeState.READY
        generation.notify()
        taking = asyncio.create_task(self._waiting.get())
        # A worker that dies while it waits must not be given anything.
        leaving = asyncio.create_task(_until_disconnected(request))
        await asyncio.wait({taking, leaving}, return_when=asyncio.FIRST_COMPLETED)
        self._workers -= 1
        leaving.cancel()
        if not taking.done():
            taking.cancel()
            return gone()
        invocation = taking.result()
        self._under_way[invocation.request_id] = invocation
        return self._handed_out(invocation)

    def _answered(self, generation: Generation, request_id: str) -> Invocation | Response:
        del generation
        return self._under_way.pop(request_id, None) or unknown_request()


async def _until_disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
