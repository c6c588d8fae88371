"""OPA's health API: `/health`, and `/health/<rule>` by the policy below `data.system.health`."""

from __future__ import annotations

from typing import Final

from policy_agent.errors import EvaluationError, RequestError
from policy_agent.model import UNDEFINED
from policy_agent.server import wire
from policy_agent.server.call import Call
from policy_agent.server.request import Parameters, flag, parse_data_path, reference
from policy_agent.server.routing import Route
from policy_agent.server.services import Services
from policy_agent.server.wire import Answer


async def _health(call: Call, services: Services) -> Answer:
    if call.below:
        return wire.health(_policy_failure(call, services))
    flags = call.parameters
    failure = services.overview.health_failure(
        bundles=flag(flags, "bundles") or flag(flags, "bundle"),
        plugins=flag(flags, "plugins"),
        excluded=flags.get("exclude-plugin", []),
        max_age_seconds=_max_age_seconds(flags),
    )
    return wire.health(failure)


def _max_age_seconds(parameters: Parameters) -> float | None:
    if "max-age" not in parameters:
        return None
    text = parameters["max-age"][-1]
    if not (text.isascii() and text.isdigit()):
        raise RequestError("parameter 'max-age' must be a whole number of seconds")
    return float(text)


def _policy_failure(call: Call, services: Services) -> str:
    segments = parse_data_path("system/health/" + call.below)
    snapshot = services.decisions.snapshot
    overview = services.overview
    value = {
        "plugin_state": {name: str(state) for name, state in overview.plugin_states().items()},
        "plugins_ready": overview.were_plugins_ready(),
    }
    try:
        result = snapshot.policy.evaluate(segments, value) if snapshot else UNDEFINED
    except EvaluationError as exc:
        return str(exc)
    if result is True:
        return ""
    fault = "was undefined" if result is UNDEFINED else "returned unexpected value"
    return f"health check ({reference(segments)}) {fault}"


ROUTES: Final = (
    Route("/health", {"GET": _health}, subtree=True, allow=b"GET, HEAD", label="health"),
)
