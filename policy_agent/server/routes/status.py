"""What the agent tells of itself: `/v1/status`, `/v1/config`, `/openapi.json`, the page at `/`."""

from __future__ import annotations

from typing import Final

from policy_agent import __version__
from policy_agent.codec import encode_json
from policy_agent.server import wire
from policy_agent.server.call import Call
from policy_agent.server.request import flag
from policy_agent.server.routing import Route
from policy_agent.server.services import Services
from policy_agent.server.wire import Answer

_BANNER = f"""<!DOCTYPE html>
<html lang="en">
<head><title>policy-agent</title></head>
<body>
<p>policy-agent {__version__} answers <a href="/v1/data">decisions</a>
over <a href="/openapi.json">OPA's REST API</a>.</p>
</body>
</html>
"""


async def _status(call: Call, services: Services) -> Answer:
    status = services.overview.status()
    if status is None:
        return wire.error_answer(500, "internal_error", "status plugin not enabled")
    return wire.result(status, pretty=flag(call.parameters, "pretty"))


async def _config(call: Call, services: Services) -> Answer:
    return wire.result(services.overview.config(), pretty=flag(call.parameters, "pretty"))


async def _openapi(call: Call, services: Services) -> Answer:
    del services
    # Late: nobody asks for it during a cold start.
    from policy_agent.server.openapi import document

    return wire.json_answer(encode_json(document()), pretty=flag(call.parameters, "pretty"))


async def banner(call: Call, services: Services) -> Answer:
    """Answer a browser at `/`."""
    del call, services
    return Answer(200, _BANNER.encode(), wire.HTML)


ROUTES: Final = (
    Route("/openapi.json", {"GET": _openapi}, allow=b"GET, HEAD"),
    Route("/v1/status", {"GET": _status}, allow=b"GET, HEAD", label="v1/status"),
    Route("/v1/config", {"GET": _config}, allow=b"GET, HEAD", label="v1/config"),
)
