"""Hand batches to an Amazon Data Firehose delivery stream (Firehose API, PutRecordBatch).

A record is a whole batch, one event a line, since Firehose bills every record as at least 5 KB. Of
the limits of one call (500 records, 4 MiB, 1,000 KiB a record) the last is the one that counts.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Final

from policy_agent.codec import decode_json, encode_json
from policy_agent.decision_log.batch import PLAIN_LINES, Batch
from policy_agent.decision_log.sinks.http import ask, refusal
from policy_agent.errors import DocumentError, ShipError
from policy_agent.model import JsonObject
from policy_agent.service import ServiceClient

LIMIT_BYTES: Final = 1000 << 10
_HEADERS: Final = {
    "Content-Type": "application/x-amz-json-1.1",
    "X-Amz-Target": "Firehose_20150804.PutRecordBatch",
}
# Firehose answers 400 to almost everything; only these are about what was sent.
_CONTENT_ERRORS: Final = ("InvalidArgumentException", "SerializationException")


class FirehoseSink:
    """Puts one record a batch."""

    form = PLAIN_LINES
    limit_bytes = LIMIT_BYTES

    def __init__(self, client: ServiceClient, stream: str) -> None:
        self._client = client
        self._stream = stream

    async def send(self, batch: Batch, timeout_seconds: float) -> None:
        """Put one record.

        Raises:
            ShipError: the call or the record in it was refused, or there is no answer.
        """
        record = {"Data": b64encode(batch.body).decode()}
        body = encode_json({"DeliveryStreamName": self._stream, "Records": [record]})
        answer = await ask(self._client, "POST", "/", _HEADERS, body, timeout_seconds)
        told = _document(answer.body)
        if answer.status != 200:
            kind = str(told.get("__type", "")).rpartition("#")[2]
            about_content = kind in _CONTENT_ERRORS or answer.status == 413
            raise refusal(answer.status, refuses_content=about_content, reason=kind)
        if told.get("FailedPutCount") != 0:
            # One record: it has failed. Throttling, mostly; it is sent again after the back-off.
            raise ShipError("log upload failed, Firehose did not take the record")


def _document(body: bytes) -> JsonObject:
    try:
        told = decode_json(body)
    except DocumentError:
        return {}
    return told if isinstance(told, dict) else {}
