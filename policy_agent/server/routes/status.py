"""OPA's status API: `/v1/status`."""

from __future__ import annotations

from typing import Final

from policy_agent.server import wire
from policy_agent.server.call import Call
from policy_agent.server.request import flag
from policy_agent.server.routing import Route
from policy_agent.server.services import Services
from policy_agent.server.wire import Answer


async def _status(call: Call, services: Services) -> Answer:
    status = services.overview.status()
    if status is None:
        return wire.error_answer(500, "internal_error", "status plugin not enabled")
    return wire.result(status, pretty=flag(call.parameters, "pretty"))


ROUTES: Final = (Route("/v1/status", {"GET": _status}, allow=b"GET, HEAD"),)
