"""Which calls of an extension are legal, and when. Pure.

States and error types as served by the init program of aws-lambda-runtime-interface-emulator
(internal/lambda/core/states.go, rapi/handler).
"""

from __future__ import annotations

from enum import StrEnum

from policy_agent.codec import decode_json
from policy_agent.emulator.refusal import Refusal
from policy_agent.errors import DocumentError

MAX_EXTENSIONS = 10


class ExtensionState(StrEnum):
    """Where an extension stands."""

    STARTED = "Started"
    REGISTERED = "Registered"
    READY = "Ready"
    RUNNING = "Running"
    SHUTTING_DOWN = "ShuttingDown"
    INIT_ERROR = "InitError"
    EXIT_ERROR = "ExitError"
    LAUNCH_ERROR = "LaunchError"
    EXITED = "Exited"


_ALLOWED_FROM: dict[ExtensionState, frozenset[ExtensionState]] = {
    ExtensionState.REGISTERED: frozenset({ExtensionState.STARTED}),
    ExtensionState.READY: frozenset({ExtensionState.REGISTERED, ExtensionState.RUNNING}),
    ExtensionState.INIT_ERROR: frozenset({ExtensionState.REGISTERED}),
    ExtensionState.EXIT_ERROR: frozenset(
        {ExtensionState.REGISTERED, ExtensionState.READY, ExtensionState.RUNNING}
    ),
}


def refused_transition(name: str, state: ExtensionState, target: ExtensionState) -> Refusal | None:
    """Return why an extension's own call may not take it to `target`, None when it may."""
    if state in _ALLOWED_FROM[target]:
        return None
    message = f"State transition from {state} to {target} failed for extension {name}"
    return Refusal(403, "Extension.InvalidExtensionState", message)


def parse_registration(
    raw: bytes, *, internal: bool, managed: bool = False
) -> frozenset[str] | Refusal:
    """Return the events that the body of a register call asks for.

    Args:
        internal: the name is no file of the layer; such an extension lives in the runtime process
            and cannot have SHUTDOWN.
        managed: on a Managed Instance nobody is told of invocations.
    """
    try:
        body = decode_json(raw) if raw.strip() else {}
    except DocumentError as exc:
        return Refusal(403, "InvalidRequestFormat", str(exc))
    if not isinstance(body, dict) or "configurationKeys" in body:
        return Refusal(403, "InvalidRequestFormat", "unexpected body")
    events = body.get("events") or []
    if not isinstance(events, list):
        return Refusal(403, "InvalidRequestFormat", "events must be a list")
    allowed = [*([] if managed else ["INVOKE"]), *([] if internal else ["SHUTDOWN"])]
    for event in events:
        if event not in allowed:
            return Refusal(403, "Extension.InvalidEventType", f"{event}: extension event not valid")
    return frozenset(events)
