"""Post the agent's status to OPA's status API, when it has changed.

OPA posts on every poll, 60 kB each time; here a report is due when a bundle's revision, source or
error is another than in the last one that was taken.
"""

from __future__ import annotations

from policy_agent.codec import encode_json
from policy_agent.config import StatusReports
from policy_agent.errors import TransportError
from policy_agent.model import JsonObject
from policy_agent.service import ServiceClient

_NEWS = ("active_revision", "code", "message", "http_code", "state", "source", "persistence")


class StatusReporter:
    """Remembers what was last reported."""

    def __init__(self, config: StatusReports) -> None:
        self._resource = config.resource
        self._client = ServiceClient(config.service) if config.service is not None else None
        self._reported: object = None

    def is_due(self, status: JsonObject) -> bool:
        """Tell whether `status` (OPA's payload) says something that has not been reported."""
        return self._client is not None and _news_of(status) != self._reported

    async def report(self, status: JsonObject, timeout_seconds: float) -> None:
        """Post `status`; it stays due when the receiver does not take it.

        Raises:
            TransportError: the receiver could not be reached or refused.
        """
        if self._client is None:
            return
        answer = await self._client.request(
            "POST",
            self._resource,
            headers={"Content-Type": "application/json"},
            body=encode_json(status),
            timeout_seconds=min(timeout_seconds, self._client.timeout_seconds),
        )
        if not 200 <= answer.status < 300:
            msg = f"status report refused with HTTP {answer.status} {answer.reason}"
            raise TransportError(msg)
        self._reported = _news_of(status)


def _news_of(status: JsonObject) -> object:
    parts = {**status.get("bundles", {}), "decision_logs": status.get("decision_logs", {})}
    parts |= {"discovery bundle": status.get("discovery", {})}
    parts |= {f"plugin {name}": state for name, state in status.get("plugins", {}).items()}
    return {name: [part.get(key) for key in _NEWS] for name, part in parts.items()}
