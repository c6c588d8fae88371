"""The role's credentials at a URI, as restored environments get them in place of static ones.

SDK and tools reference guide, "Container credential provider"; the path and the variables are those
of aws-lambda-runtime-interface-emulator (internal/lambda).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from policy_agent.emulator.events import EventLog
from policy_agent.emulator.platform_events import telemetry_time
from policy_agent.emulator.replies import json_reply

PATH = "/2021-04-23/credentials"
VALID_FOR = timedelta(minutes=15)


class CredentialsApi:
    """Hands the credentials to whoever knows the token."""

    def __init__(self, credentials: Mapping[str, str], events: EventLog) -> None:
        """Take the static credentials that are to be handed out, by their variables' names."""
        self._credentials = credentials
        self._events = events
        self._token = secrets.token_urlsafe()

    def variables(self, api_address: str) -> dict[str, str]:
        """Return what tells a process where to ask."""
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{api_address}{PATH}",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": self._token,
        }

    def routes(self) -> list[Route]:
        """Return the routes of this API."""
        return [Route(PATH, self._get, methods=["GET"])]

    async def _get(self, request: Request) -> Response:
        is_known = secrets.compare_digest(request.headers.get("Authorization", ""), self._token)
        self._events.record("credentials", ok=is_known)
        if not is_known:
            return json_reply(403, {"message": "the token is not this environment's"})
        return json_reply(
            200,
            {
                "AccessKeyId": self._credentials["AWS_ACCESS_KEY_ID"],
                "SecretAccessKey": self._credentials["AWS_SECRET_ACCESS_KEY"],
                "Token": self._credentials["AWS_SESSION_TOKEN"],
                "Expiration": telemetry_time(datetime.now(UTC) + VALID_FOR),
            },
        )
