"""Upload batches by OPA's protocol (v1.22 v1/plugins/logs/plugin.go, `uploadChunk`)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from http import HTTPStatus

from policy_agent.decision_log.batch import JSON_ARRAY, Batch
from policy_agent.errors import ShipError, TransportError
from policy_agent.http_client import Response
from policy_agent.service import ServiceClient

_HEADERS = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
CONTENT_REFUSED = frozenset({400, 413, 422})
_MOST_ANSWER_BYTES = 16 << 20  # ignored, but a receiver that echoes must not look like a failure


class HttpSink:
    """Posts gzip JSON arrays to one resource of a service."""

    form = JSON_ARRAY
    limit_bytes = sys.maxsize

    def __init__(self, client: ServiceClient, resource: str) -> None:
        self._client = client
        self._resource = resource

    async def send(self, batch: Batch, timeout_seconds: float) -> None:
        """Post one batch; the service's own time limit holds too.

        OPA's protocol has no batch id: `Idempotency-Key` is for receivers that want one.

        Raises:
            ShipError: in OPA's words; any status but 2xx, or no answer.
        """
        headers = {**_HEADERS, "Idempotency-Key": batch.id}
        answer = await ask(
            self._client, "POST", self._resource, headers, batch.body, timeout_seconds
        )
        if not 200 <= answer.status < 300:
            raise refusal(answer.status, refuses_content=answer.status in CONTENT_REFUSED)


async def ask(
    client: ServiceClient,
    method: str,
    resource: str,
    headers: Mapping[str, str],
    body: bytes,
    timeout_seconds: float,
) -> Response:
    """Send one request within the shorter of both time limits; any status is an answer.

    Raises:
        ShipError: there is none.
    """
    try:
        return await client.request(
            method,
            resource,
            headers=headers,
            body=body,
            timeout_seconds=min(timeout_seconds, client.timeout_seconds),
            max_bytes=_MOST_ANSWER_BYTES,
        )
    except TransportError as exc:
        msg = f"log upload failed: {exc}"
        raise ShipError(msg) from exc


def refusal(status: int, *, refuses_content: bool, reason: str = "") -> ShipError:
    """Return the error for a status, in OPA's words.

    Args:
        reason: the service's own word for it.
    """
    msg = f"log upload failed, server replied with HTTP {status} {_status_text(status)}"
    msg += f": {reason}" if reason else ""
    return ShipError(msg, http_code=status, refuses_content=refuses_content)


def _status_text(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
