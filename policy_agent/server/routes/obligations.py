"""Where a function reports what became of obligations: `/v1/obligations/<decision id>`."""

from __future__ import annotations

from typing import Final

from policy_agent.codec import decode_json
from policy_agent.decision.obligations import read_fulfilment
from policy_agent.errors import DocumentError, RequestError
from policy_agent.server.call import Call
from policy_agent.server.routing import Route
from policy_agent.server.services import Services
from policy_agent.server.wire import Answer


async def _report(call: Call, services: Services) -> Answer:
    try:
        body = decode_json(call.body)
    except DocumentError as exc:
        msg = f"the body is not JSON: {exc}"
        raise RequestError(msg) from exc
    services.decisions.record_fulfilment(read_fulfilment(call.below, body))
    return Answer(204)


ROUTES: Final = (
    Route(
        "/v1/obligations",
        {"POST": _report},
        subtree=True,
        allow=b"POST",
        label="v1/obligations",
    ),
)
