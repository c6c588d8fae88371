"""Upload batches by OPA's protocol (v1.22 v1/plugins/logs/plugin.go, `uploadChunk`)."""

from __future__ import annotations

from http import HTTPStatus

from policy_agent.errors import ShipError, TransportError
from policy_agent.service import ServiceClient

_HEADERS = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
_MOST_ANSWER_BYTES = 16 << 20  # ignored, but a receiver that echoes must not look like a failure


class HttpSink:
    """Posts gzip JSON arrays to one resource of a service."""

    def __init__(self, client: ServiceClient, resource: str) -> None:
        self._client = client
        self._resource = resource

    async def send(self, body: bytes, timeout_seconds: float) -> None:
        """Post one batch; the service's own time limit holds too.

        Raises:
            ShipError: in OPA's words; any status but 2xx, or no answer.
        """
        try:
            response = await self._client.request(
                "POST",
                self._resource,
                headers=_HEADERS,
                body=body,
                timeout_seconds=min(timeout_seconds, self._client.timeout_seconds),
                max_bytes=_MOST_ANSWER_BYTES,
            )
        except TransportError as exc:
            msg = f"log upload failed: {exc}"
            raise ShipError(msg) from exc
        if not 200 <= response.status < 300:
            status = f"{response.status} {_status_text(response.status)}"
            msg = f"log upload failed, server replied with HTTP {status}"
            raise ShipError(msg, http_code=response.status)


def _status_text(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
