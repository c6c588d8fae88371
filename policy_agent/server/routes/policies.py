"""OPA's policy API: `/v1/policies`, which refuses writes."""

from __future__ import annotations

from typing import Final

from policy_agent.server import wire
from policy_agent.server.call import Call
from policy_agent.server.routing import Route
from policy_agent.server.services import Services
from policy_agent.server.wire import Answer


async def _refuse_write(call: Call, services: Services) -> Answer:
    del services
    return wire.write_refused(f"policies/{call.below}", None)


ROUTES: Final = (
    Route("/v1/policies", {"PUT": _refuse_write, "DELETE": _refuse_write}, subtree=True),
)
