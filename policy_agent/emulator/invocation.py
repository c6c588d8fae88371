"""One invocation: what was asked, what the caller was told and when, and how it ended."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass
from typing import Any

from policy_agent.codec import decode_json, encode_json
from policy_agent.emulator.failure import Failure
from policy_agent.errors import DocumentError, EmulatorError

UNHANDLED = "Unhandled"  # what Lambda's `X-Amz-Function-Error` header says


@dataclass(frozen=True, slots=True)
class Completion:
    """How an invocation ended once runtime and extensions were all done.

    Attributes:
        status: `success`, `error` (the function raised), `failure` (a process died) or `timeout`.
        error_type: "" for success.
        runtime_ms: from the start to the runtime's next `next`, or to the failure.
        post_runtime_extensions_ms: from then to the last extension's `next`; 0 when they were
            done first (CloudWatch's PostRuntimeExtensionsDuration).
        total_ms: REPORT's Duration.
        billed_ms: `total_ms` and, for a cold start, the Init, in whole milliseconds.
    """

    status: str
    error_type: str
    runtime_ms: float
    post_runtime_extensions_ms: float
    total_ms: float
    billed_ms: int


class Invocation:
    """One call of the function; `response` and times are set once it is answered."""

    def __init__(self, payload: bytes, trace_id: str | None = None) -> None:
        self.request_id = str(uuid.uuid4())
        self.payload = payload
        self.trace_id = trace_id
        self.deadline_ms = 0
        self.failure: Failure | None = None
        self.requested_ns = time.monotonic_ns()
        self.started_ns = self.requested_ns
        self.answered_ns = 0
        self._body = b""
        self._function_error: str | None = None
        self._answered = asyncio.get_running_loop().create_future()
        self._driver: asyncio.Task[Completion] | None = None

    @property
    def answered(self) -> bool:
        """Whether the caller has its answer."""
        return self._answered.done()

    @property
    def response_body(self) -> bytes:
        """Return the answer as the runtime posted it."""
        return self._body

    @property
    def response(self) -> Any:
        """Return the answer as a JSON value.

        Raises:
            EmulatorError: the runtime answered with something else.
        """
        try:
            return decode_json(self._body)
        except DocumentError as exc:
            msg = f"the function's answer is not JSON: {exc}"
            raise EmulatorError(msg) from exc

    @property
    def function_error(self) -> str | None:
        """Return `Unhandled` when the answer is an error, else None."""
        return self._function_error

    @property
    def duration_ms(self) -> float:
        """Return the time from the start of the invocation to the answer, without Init."""
        return (self.answered_ns - self.started_ns) / 1e6

    @property
    def latency_ms(self) -> float:
        """Return the time from the request to the answer: what the caller waited."""
        return (self.answered_ns - self.requested_ns) / 1e6

    async def completed(self) -> Completion:
        """Wait until runtime and extensions are done, and the environment reset if need be."""
        assert self._driver is not None
        return await asyncio.shield(self._driver)

    async def run(self, driver: asyncio.Task[Completion]) -> None:
        """Wait for the answer, or for the failure of the task that drives the invocation."""
        self._driver = driver
        await asyncio.wait({driver, self._answered}, return_when=asyncio.FIRST_COMPLETED)
        if driver.done():
            await driver

    def begin(self, timeout_seconds: float) -> None:
        """Start the clock."""
        self.started_ns = time.monotonic_ns()
        self.deadline_ms = int((time.time() + timeout_seconds) * 1000)

    def answer(self, body: bytes) -> None:
        """Give the caller the function's result, unless it has an error already."""
        if not self.answered:
            self._settle(body, None)

    def fail(self, failure: Failure) -> None:
        """Give the caller an error, unless it has an answer already."""
        self.failure = self.failure or failure
        if not self.answered:
            body = {"errorMessage": failure.message, "errorType": failure.error_type}
            self._settle(failure.body or encode_json(body), UNHANDLED)

    def _settle(self, body: bytes, function_error: str | None) -> None:
        self._body = body
        self._function_error = function_error
        self.answered_ns = time.monotonic_ns()
        self._answered.set_result(None)
