"""Put batches as objects into a bucket, where Athena reads them (`policy-agent audit ddl`).

A key has the hour of its first decision, then the function:
`<prefix>/dt=2026-11-27/hour=14/function=orders/<batch id>.json.gz`; an object is gzip of one event
a line. A batch that is sent again has the same key, and `If-None-Match: *` (Amazon S3 API,
PutObject) keeps the object that is there: at least once becomes exactly once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from policy_agent.decision_log.batch import JSON_LINES, Batch
from policy_agent.decision_log.event import timestamp_of
from policy_agent.decision_log.sinks.http import ask, refusal
from policy_agent.service import ServiceClient

LIMIT_BYTES: Final = 5 << 30  # of one PutObject
_HEADERS: Final = {"Content-Type": "application/x-ndjson", "If-None-Match": "*"}
_IS_THERE: Final = 412
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class S3Sink:
    """Writes one object a batch.

    Args:
        client: its URL is the bucket's.
        prefix: of every key, without slashes at its ends; "" for none.
        labels: `function` is part of keys.
    """

    form = JSON_LINES
    limit_bytes = LIMIT_BYTES

    def __init__(self, client: ServiceClient, prefix: str, labels: Mapping[str, str]) -> None:
        self._client = client
        self._prefix = prefix
        self._function = labels.get("function", "none")

    def key_of(self, batch: Batch) -> str:
        """Return the object's key."""
        at = timestamp_of(batch.first_event) or _EPOCH
        parts = [f"dt={at:%Y-%m-%d}", f"hour={at:%H}", f"function={self._function}"]
        name = f"{batch.id}.json.gz"
        return "/".join([*([self._prefix] if self._prefix else []), *parts, name])

    async def send(self, batch: Batch, timeout_seconds: float) -> None:
        """Put one object, unless it is there already.

        Raises:
            ShipError: any other answer, or none.
        """
        # Escaped as AWS's signature wants it: "=" too.
        resource = quote(self.key_of(batch), safe="/")
        answer = await ask(self._client, "PUT", resource, _HEADERS, batch.body, timeout_seconds)
        if not 200 <= answer.status < 300 and answer.status != _IS_THERE:
            raise refusal(answer.status, refuses_content=answer.status == 413)
