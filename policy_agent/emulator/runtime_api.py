"""Lambda's Runtime API, version 2018-06-01 (developer guide, "Lambda runtime API")."""

from __future__ import annotations

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


class RuntimeApi:
    """Answers the runtime for whichever generation is current."""

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
            Route(f"{PREFIX}/restore/next", self._restore_next, methods=["GET"]),
            Route(f"{PREFIX}/restore/error", self._restore_error, methods=["POST"]),
        ]

    async def _next(self, _request: Request) -> Response:
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
        if invocation is None:
            return gone()
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
        runtime = generation.runtime
        invocation = runtime.invocation
        if invocation is None or invocation.request_id != request.path_params["request_id"]:
            return refuse(Refusal(400, "InvalidRequestID", "Invalid request ID"))
        if runtime.state is not RuntimeState.RUNNING:
            return _invalid_transition(runtime.state)
        runtime.state = RuntimeState.ANSWERED
        if is_error:
            invocation.fail(reported_failure(request, body, "error"))
        else:
            invocation.answer(body)
        self._events.record("response", RUNTIME, is_error=is_error)
        generation.notify()
        return accepted()

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
        generation.fail(reported_failure(request, body, "failure"))
        return accepted()

    async def _init_error(self, request: Request) -> Response:
        body = await request.body()
        generation = self._current()
        if generation is None:
            return gone()
        if generation.runtime.state is not RuntimeState.STARTED:
            return _invalid_transition(generation.runtime.state)
        failure = reported_failure(request, body, "failure")
        self._events.record("init_error", RUNTIME, error_type=failure.error_type)
        generation.fail(failure)
        return accepted()


def invocation_headers(invocation: Invocation, settings: LambdaSettings) -> dict[str, str]:
    """Return what a runtime is told beside the event."""
    headers = {
        "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
        "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
        "Lambda-Runtime-Invoked-Function-Arn": settings.function_arn,
    }
    if invocation.trace_id is not None:
        headers["Lambda-Runtime-Trace-Id"] = invocation.trace_id
    return headers


def _invalid_transition(state: RuntimeState) -> Response:
    message = f"State transition from {state} is not allowed"
    return refuse(Refusal(403, "InvalidStateTransition", message))


def reported_failure(request: Request, body: bytes, status: Literal["error", "failure"]) -> Failure:
    """Return the failure that a runtime has posted."""
    error_type = request.headers.get(_ERROR_TYPE, "")
    if not error_type:
        try:
            document = decode_json(body)
        except DocumentError:
            document = None
        error_type = document.get("errorType", "") if isinstance(document, dict) else ""
    return Failure(str(error_type) or "Runtime.Unknown", "", status, body)
