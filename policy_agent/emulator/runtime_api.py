"""Lambda's Runtime API, version 2018-06-01 (developer guide, "Lambda runtime API")."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from policy_agent.codec import decode_json
from policy_agent.emulator.events import EventLog
from policy_agent.emulator.failure import Failure
from policy_agent.emulator.generation import RUNTIME, Generation, RuntimeState
from policy_agent.emulator.invocation import Invocation
from policy_agent.emulator.refusal import Refusal
from policy_agent.emulator.replies import accepted, gone, raw_json_reply, refuse
from policy_agent.emulator.settings import LambdaSettings
from policy_agent.errors import DocumentError

PREFIX = "/2018-06-01/runtime"
_BEFORE_NEXT = (RuntimeState.STARTED, RuntimeState.RESTORING, RuntimeState.ANSWERED)
_ERROR_TYPE = "Lambda-Runtime-Function-Error-Type"


class InvocationApi(ABC):
    """What every runtime uses of the API: it takes invocations, answers them, or fails to start."""

    def __init__(
        self, current: Callable[[], Generation | None], settings: LambdaSettings, events: EventLog
    ) -> None:
        self._current = current
        self._settings = settings
        self._events = events

    def routes(self) -> list[Route]:
        """Return the routes of this API."""
        one = f"{PREFIX}/invocation/{{request_id}}"
        return [
            Route(f"{PREFIX}/invocation/next", self._next, methods=["GET"]),
            Route(f"{one}/response", self._response, methods=["POST"]),
            Route(f"{one}/error", self._error, methods=["POST"]),
            Route(f"{PREFIX}/init/error", self._init_error, methods=["POST"]),
        ]

    @abstractmethod
    async def _next(self, request: Request) -> Response:
        """Hand out an invocation."""

    @abstractmethod
    def _answered(self, generation: Generation, request_id: str) -> Invocation | Response:
        """Return the invocation that is being answered, or why it may not be."""

    def _refused_init_error(self, generation: Generation) -> Response | None:
        """Return why the runtime may not report that it could not start, None when it may."""
        del generation
        return None

    def _handed_out(self, invocation: Invocation) -> Response:
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": self._settings.function_arn,
        }
        if invocation.trace_id is not None:
            headers["Lambda-Runtime-Trace-Id"] = invocation.trace_id
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
        invocation = self._answered(generation, request.path_params["request_id"])
        if isinstance(invocation, Response):
            return invocation
        if is_error:
            invocation.fail(_reported_failure(request, body, "error"))
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
        if (refused := self._refused_init_error(generation)) is not None:
            return refused
        failure = _reported_failure(request, body, "failure")
        self._events.record("init_error", RUNTIME, error_type=failure.error_type)
        generation.fail(failure)
        return accepted()


class RuntimeApi(InvocationApi):
    """One invocation at a time, for the runtime of whichever generation is current."""

    def routes(self) -> list[Route]:
        """Return the routes of this API."""
        return [
            *super().routes(),
            Route(f"{PREFIX}/restore/next", self._restore_next, methods=["GET"]),
            Route(f"{PREFIX}/restore/error", self._restore_error, methods=["POST"]),
        ]

    async def _next(self, request: Request) -> Response:
        del request
        generation = self._current()
        if generation is None:
            return gone()
        runtime = generation.runtime
        if runtime.state not in _BEFORE_NEXT:
            return _invalid_transition(runtime.state)
        runtime.state = RuntimeState.READY
        self._events.record("next", RUNTIME)
        generation.notify()
        invocation = await runtime.poll.wait()
        return gone() if invocation is None else self._handed_out(invocation)

    def _answered(self, generation: Generation, request_id: str) -> Invocation | Response:
        runtime = generation.runtime
        invocation = runtime.invocation
        if invocation is None or invocation.request_id != request_id:
            return unknown_request()
        if runtime.state is not RuntimeState.RUNNING:
            return _invalid_transition(runtime.state)
        runtime.state = RuntimeState.ANSWERED
        return invocation

    def _refused_init_error(self, generation: Generation) -> Response | None:
        state = generation.runtime.state
        return None if state is RuntimeState.STARTED else _invalid_transition(state)

    async def _restore_next(self, _request: Request) -> Response:
        generation = self._current()
        if generation is None:
            return gone()
        runtime = generation.runtime
        if runtime.state is not RuntimeState.STARTED:
            return _invalid_transition(runtime.state)
        runtime.state = RuntimeState.SNAPSHOT
        self._events.record("restore_next", RUNTIME)
        generation.notify()
        if await runtime.restore_poll.wait() is None:
            return gone()
        return Response(status_code=200)

    async def _restore_error(self, request: Request) -> Response:
        body = await request.body()
        generation = self._current()
        if generation is None:
            return gone()
        if generation.runtime.state is not RuntimeState.RESTORING:
            return _invalid_transition(generation.runtime.state)
        generation.fail(_reported_failure(request, body, "failure"))
        return accepted()


def unknown_request() -> Response:
    """Return the answer to who answers what is not under way."""
    return refuse(Refusal(400, "InvalidRequestID", "Invalid request ID"))


def _invalid_transition(state: RuntimeState) -> Response:
    message = f"State transition from {state} is not allowed"
    return refuse(Refusal(403, "InvalidStateTransition", message))


def _reported_failure(
    request: Request, body: bytes, status: Literal["error", "failure"]
) -> Failure:
    error_type = request.headers.get(_ERROR_TYPE, "")
    if not error_type:
        try:
            document = decode_json(body)
        except DocumentError:
            document = None
        error_type = document.get("errorType", "") if isinstance(document, dict) else ""
    return Failure(str(error_type) or "Runtime.Unknown", "", status, body)
