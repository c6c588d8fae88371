"""The Runtime API where one runtime has many invocations under way: Lambda Managed Instances.

Each of the runtime's workers polls `next` by itself, and answers by request id in any order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from policy_agent.emulator.events import EventLog
from policy_agent.emulator.generation import RUNTIME, Generation, RuntimeState
from policy_agent.emulator.invocation import Invocation
from policy_agent.emulator.refusal import Refusal
from policy_agent.emulator.replies import accepted, gone, raw_json_reply, refuse
from policy_agent.emulator.runtime_api import PREFIX, invocation_headers, reported_failure
from policy_agent.emulator.settings import LambdaSettings


class ManagedRuntimeApi:
    """Hands out invocations to whichever worker asks."""

    def __init__(
        self, current: Callable[[], Generation | None], settings: LambdaSettings, events: EventLog
    ) -> None:
        self._current = current
        self._settings = settings
        self._events = events
        self._waiting: asyncio.Queue[Invocation] = asyncio.Queue()
        self._workers = 0
        self._under_way: dict[str, Invocation] = {}

    def routes(self) -> list[Route]:
        """Return the routes of this API."""
        one = f"{PREFIX}/invocation/{{request_id}}"
        return [
            Route(f"{PREFIX}/invocation/next", self._next, methods=["GET"]),
            Route(f"{one}/response", self._response, methods=["POST"]),
            Route(f"{one}/error", self._error, methods=["POST"]),
            Route(f"{PREFIX}/init/error", self._init_error, methods=["POST"]),
        ]

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
        headers = invocation_headers(invocation, self._settings)
        return raw_json_reply(200, invocation.payload, headers)

    async def _response(self, request: Request) -> Response:
        return await self._result(request, is_error=False)

    async def _error(self, request: Request) -> Response:
        return await self._result(request, is_error=True)

    async def _result(self, request: Request, *, is_error: bool) -> Response:
        body = await request.body()
        generation = self._current()
        if generation is None:
            return gone()
        invocation = self._under_way.pop(request.path_params["request_id"], None)
        if invocation is None:
            return refuse(Refusal(400, "InvalidRequestID", "Invalid request ID"))
        if is_error:
            invocation.fail(reported_failure(request, body, "error"))
        else:
            invocation.answer(body)
        self._events.record("response", RUNTIME, is_error=is_error)
        generation.notify()
        return accepted()

    async def _init_error(self, request: Request) -> Response:
        body = await request.body()
        generation = self._current()
        if generation is None:
            return gone()
        failure = reported_failure(request, body, "failure")
        self._events.record("init_error", RUNTIME, error_type=failure.error_type)
        generation.fail(failure)
        return accepted()


async def _until_disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
