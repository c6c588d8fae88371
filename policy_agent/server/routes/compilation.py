"""OPA's compile API: `/v1/compile`, which is refused.

Partial evaluation asks what a policy would say without a part of its input; the engine has no such
mode, and an answer made up would be wrong where it matters, in a data filter.
"""

from __future__ import annotations

from typing import Final

from policy_agent.server import wire
from policy_agent.server.call import Call
from policy_agent.server.routing import Route
from policy_agent.server.services import Services
from policy_agent.server.wire import Answer


async def _refuse(call: Call, services: Services) -> Answer:
    del services
    if call.method == "GET" and not call.below:
        return wire.method_not_allowed(b"POST")
    message = "partial evaluation is not supported: ask /v1/data or /v1/query instead"
    return wire.error_answer(501, "invalid_operation", message)


ROUTES: Final = (
    Route(
        "/v1/compile",
        {"POST": _refuse, "GET": _refuse},
        subtree=True,
        allow=b"GET, HEAD, POST",
        label="v1/compile",
    ),
)
