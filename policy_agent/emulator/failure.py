"""Why an Init or an invocation failed, in Lambda's words. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure; the first of a generation is the one that counts.

    Attributes:
        error_type: such as `Extension.Crash` or `Sandbox.Timedout`.
        status: as telemetry reports it: `error` is the function's own, after which the
            environment lives on.
        body: the runtime's own error document, when it posted one.
    """

    error_type: str
    message: str
    status: Literal["error", "failure", "timeout"] = "failure"
    body: bytes | None = None

    @property
    def shutdown_reason(self) -> Literal["timeout", "failure"]:
        """Return what extensions are told when the environment is reset because of it."""
        return "timeout" if self.status == "timeout" else "failure"


def timed_out(seconds: float) -> Failure:
    """Return Lambda's failure for a function that ran out of time."""
    return Failure("Sandbox.Timedout", f"Task timed out after {seconds:.2f} seconds", "timeout")


def exited(subject: str, code: int) -> str:
    """Return the sentence for a process that ended."""
    how = f"signal {-code}" if code < 0 else f"exit status {code}"
    return f"{subject} exited unexpectedly: {how}"


DESTROYED = Failure("Sandbox.Destroyed", "the environment was destroyed")
