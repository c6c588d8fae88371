"""Give a decision the form of OPA's decision log event (OPA v1.22 v1/plugins/logs, EventV1).

Pure. Keys are absent, not null, where OPA leaves them out: no input, no value, the root path, no
bundles, metrics or custom data.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from policy_agent.codec import decode_json, encode_json
from policy_agent.errors import DecisionLogError, DocumentError
from policy_agent.model import UNDEFINED, Decision, Fulfilment, JsonObject

MOST_RULES = 100  # in one entry
_NS_PER_SECOND = 1_000_000_000
_NONE: Mapping[str, Any] = {}


def build_event(
    decision: Decision, labels: Mapping[str, str], circumstances: Mapping[str, Any] = _NONE
) -> JsonObject:
    """Return the event of one decision, before masking.

    The event shares `input`, `result` and the like with the decision: replace, never change them.

    Args:
        circumstances: what is known beyond the decision, for `custom`.
    """
    event: JsonObject = {
        "labels": labels,
        "decision_id": decision.decision_id,
        "timestamp": format_timestamp(decision.timestamp_ns),
    }
    if decision.revisions:
        event["bundles"] = {
            name: {"revision": revision} if revision else {}
            for name, revision in decision.revisions.items()
        }
    _add_question(event, decision)
    if decision.result is not UNDEFINED:
        event["result"] = decision.result
    if decision.mapped_result is not UNDEFINED:
        event["mapped_result"] = decision.mapped_result
    if decision.error is not None:
        event["error"] = decision.error
    if decision.metrics:
        event["metrics"] = decision.metrics
    if custom := _custom(decision, circumstances):
        event["custom"] = custom
    return event


def _add_question(event: JsonObject, decision: Decision) -> None:
    if decision.batch_decision_id:
        event["batch_decision_id"] = decision.batch_decision_id
    if path := decision.path.removeprefix("/"):
        event["path"] = path
    if decision.query:
        event["query"] = decision.query
    if decision.requested_by:
        event["requested_by"] = decision.requested_by
    if decision.input is not UNDEFINED:
        event["input"] = decision.input


def _custom(decision: Decision, circumstances: Mapping[str, Any]) -> JsonObject:
    custom: JsonObject = {**circumstances, **decision.custom}
    if decision.trace:
        custom["trace"] = decision.trace
    if decision.cache_hit:
        custom["cache_hit"] = True
    if decision.evidence is not None and (rules := decision.evidence.rules):
        custom["rules"] = rules[:MOST_RULES]
        if len(rules) > MOST_RULES:
            custom["rules_left_out"] = len(rules) - MOST_RULES
    return custom


def with_summary(event: JsonObject) -> JsonObject:
    """Return a masked event with `subject` and `obligations` (their types) under `custom`.

    Both are read from what masking has left, so that nothing hidden comes back here.
    """
    summary: JsonObject = {}
    asked, answer = event.get("input"), event.get("result")
    if isinstance(asked, dict) and isinstance(identity := asked.get("identity"), dict):
        claims = identity.get("claims")
        subject = claims.get("sub") if isinstance(claims, dict) else None
        if isinstance(subject, str):
            summary["subject"] = subject
    if isinstance(answer, dict) and isinstance(duties := answer.get("obligations"), list):
        types = [duty.get("type") for duty in duties if isinstance(duty, dict)]
        if named := [kind for kind in types if isinstance(kind, str)]:
            summary["obligations"] = named
    return {**event, "custom": {**event.get("custom", {}), **summary}} if summary else event


def build_closing(decision_id: str, timestamp_ns: int, labels: Mapping[str, str]) -> JsonObject:
    """Return the event that ends a stream; any receiver of OPA's takes it for one more event."""
    timestamp = format_timestamp(timestamp_ns)
    return {"labels": labels, "decision_id": decision_id, "timestamp": timestamp}


def build_fulfilment(
    entry_id: str, timestamp_ns: int, labels: Mapping[str, str], fulfilment: Fulfilment
) -> JsonObject:
    """Return the event that tells what became of obligations, under an id of its own."""
    told = {
        "decision_id": fulfilment.decision_id,
        "obligations": list(fulfilment.obligations),
    }
    return {**build_closing(entry_id, timestamp_ns, labels), "custom": {"fulfilment": told}}


def encode_event(event: JsonObject) -> bytes:
    """Return an event as one line of JSON without a line feed.

    Raises:
        DecisionLogError: it holds something that JSON cannot express.
    """
    try:
        return encode_json(event)
    except (TypeError, ValueError, RecursionError) as exc:
        msg = f"decision {event['decision_id']} is not JSON: {type(exc).__name__}"
        raise DecisionLogError(msg) from exc


def timestamp_of(raw_event: bytes) -> datetime | None:
    """Return when an encoded event says it was decided, aware UTC; None when it does not."""
    try:
        fields = decode_json(raw_event)
        return datetime.fromisoformat(fields["timestamp"]).astimezone(UTC)
    except (DocumentError, KeyError, TypeError, ValueError, OverflowError):
        return None


def format_timestamp(timestamp_ns: int) -> str:
    """Return UTC in Go's RFC3339Nano: nine decimals with trailing zeros cut, none when all are.

    Args:
        timestamp_ns: nanoseconds since the epoch.
    """
    seconds, fraction = divmod(timestamp_ns, _NS_PER_SECOND)
    text = _format_seconds(seconds)
    return f"{text}.{fraction:09d}".rstrip("0") + "Z" if fraction else text + "Z"


@lru_cache(maxsize=4)
def _format_seconds(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
