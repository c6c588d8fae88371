"""OPA's health API: `/health`."""

from __future__ import annotations

from typing import Final

from policy_agent.server import wire
from policy_agent.server.call import Call
from policy_agent.server.request import flag
from policy_agent.server.routing import Route
from policy_agent.server.services import Services
from policy_agent.server.wire import Answer


async def _health(call: Call, services: Services) -> Answer:
    flags = call.parameters
    failure = services.overview.health_failure(
        bundles=flag(flags, "bundles") or flag(flags, "bundle"),
        plugins=flag(flags, "plugins"),
        excluded=flags.get("exclude-plugin", []),
    )
    return wire.health(failure)


ROUTES: Final = (Route("/health", {"GET": _health}, allow=b"GET, HEAD"),)
