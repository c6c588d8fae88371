"""Turn one decision log event into a row by lifting the columns that auditors ask for.

Pure. Events are OPA's EventV1 (v1.22 v1/plugins/logs/plugin.go); the event text is kept whole.
Only `decision_id` and `timestamp` are demanded; any other field may be missing or odd.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec

from policy_agent.audit_chain import audit_of
from policy_agent.auditor.row import DecisionRow, ResultKind
from policy_agent.codec import decode_json, encode_json
from policy_agent.errors import AuditError, DocumentError
from policy_agent.model import JsonObject

# The first of these that holds a non-empty text or an integer is the answer.
FUNCTION_LABELS: Final = (("function",), ("function_name",), ("app",))
SUBJECT_PATHS: Final = (
    ("identity", "claims", "sub"),
    ("identity", "sub"),
    ("user",),
    ("user", "id"),
    ("subject",),
    ("subject", "id"),  # AuthZEN
    ("principal",),
    ("principal", "id"),
    ("sub",),
)
ACTION_PATHS: Final = (("action",), ("action", "name"), ("method",))  # the second is AuthZEN's
_MAX_SEQ: Final = (1 << 63) - 1
_ALLOW_KEYS: Final = ("allow", "allowed")


class _Event(msgspec.Struct):
    decision_id: Annotated[str, msgspec.Meta(min_length=1)]
    timestamp: Annotated[datetime, msgspec.Meta(tz=True)]
    labels: Any = None
    bundles: Any = None
    revision: Any = None
    path: Any = None
    input: Any = None
    result: Any = msgspec.UNSET
    error: Any = None
    requested_by: Any = None
    custom: Any = None


_decode_event = msgspec.json.Decoder(_Event).decode


def extract_row(raw_event: bytes, source: str) -> DecisionRow:
    """Read one event.

    Args:
        raw_event: one JSON value, UTF-8.
        source: name of the spooled body.

    Raises:
        AuditError: it is no event; the message names the field and what is wrong, never a value.
    """
    event = _decode(raw_event)
    try:
        timestamp = event.timestamp.astimezone(UTC)
    except OverflowError as exc:
        raise AuditError("the timestamp is outside the years 1 to 9999 - at `$.timestamp`") from exc
    audit = _numbers(event)
    return DecisionRow(
        decision_id=event.decision_id,
        timestamp=timestamp,
        path=_text(event.path),
        labels=encode_json(event.labels).decode(),
        function=_first(event.labels, FUNCTION_LABELS),
        subject=_first(event.input, SUBJECT_PATHS),
        action=_first(event.input, ACTION_PATHS),
        result=_record_kind(event, audit) or result_kind(event.result, event.error),
        revisions=_revisions(event),
        requested_by=_text(event.requested_by),
        error=_error_text(event.error),
        event=raw_event.decode("utf-8", "replace"),
        source=source,
        instance=audit.get("instance"),
        seq=audit.get("seq"),
        chain=audit.get("chain"),
    )


def _decode(raw_event: bytes) -> _Event:
    try:
        return _decode_event(raw_event)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # What Go accepts and msgspec does not, such as lone surrogates, is still an event.
        try:
            return msgspec.convert(decode_json(raw_event), _Event)
        except (DocumentError, msgspec.ValidationError) as exc:
            raise AuditError(str(exc)) from exc


def _numbers(event: _Event) -> JsonObject:
    """Return the event's `custom.audit` when it is whole, else {}: nobody has numbered it."""
    audit = audit_of({"custom": event.custom})
    seq = audit.get("seq")
    numbered = isinstance(seq, int) and not isinstance(seq, bool) and 0 < seq <= _MAX_SEQ
    return audit if numbered and _text(audit.get("instance")) and _text(audit.get("chain")) else {}


def _record_kind(event: _Event, audit: JsonObject) -> ResultKind | None:
    """Return what an entry is that is no decision, None for a decision."""
    # What says anything of a decision is one: none can hide as another record.
    says_nothing = event.path is event.input is event.error is None
    if not says_nothing or event.result is not msgspec.UNSET:
        return None
    if audit.get("closing") is True:
        return ResultKind.CLOSE
    is_report = isinstance(event.custom, dict) and "fulfilment" in event.custom
    return ResultKind.FULFILMENT if is_report else None


def result_kind(result: Any, error: Any) -> ResultKind:
    """Classify a decision.

    Args:
        result: the policy's answer, `msgspec.UNSET` when the event has none.
        error: the event's `error`, None when it has none.
    """
    if error is not None:
        return ResultKind.ERROR
    if result is msgspec.UNSET:
        return ResultKind.UNDEFINED
    candidates = [result]
    if isinstance(result, dict):
        candidates = [result.get(key) for key in _ALLOW_KEYS]
    for candidate in candidates:
        if isinstance(candidate, bool):
            return ResultKind.ALLOW if candidate else ResultKind.DENY
    return ResultKind.OTHER


def _first(document: Any, paths: Iterable[tuple[str, ...]]) -> str | None:
    for path in paths:
        value = document
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if text := _text(value):
            return text
    return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _revisions(event: _Event) -> Mapping[str, str]:
    if isinstance(event.bundles, dict):
        return {
            name: (isinstance(bundle, dict) and _text(bundle.get("revision"))) or ""
            for name, bundle in sorted(event.bundles.items())
        }
    # Before it had named bundles, OPA logged a single revision.
    return {"": event.revision} if _text(event.revision) else {}


def _error_text(error: Any) -> str | None:
    if error is None or isinstance(error, str):
        return error
    if isinstance(error, dict) and (message := _text(error.get("message"))):
        code = _text(error.get("code"))
        return f"{code}: {message}" if code else message
    return encode_json(error).decode()
