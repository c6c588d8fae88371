"""Show decisions as a table for people, or as JSON or CSV for programs.

Pure. Texts come from the callers of functions, so the table shows no control character as itself.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from policy_agent.auditor.row import DecisionRow
from policy_agent.codec import encode_json, indent_json

_TABLE_COLUMNS: Final = (
    "time",
    "function",
    "subject",
    "path",
    "result",
    "revision",
    "decision_id",
)
_CSV_COLUMNS: Final = (*_TABLE_COLUMNS, "action", "requested_by", "error", "labels", "event")


def as_table(rows: Sequence[DecisionRow]) -> str:
    """Return aligned columns under a header; "-" stands for what an event does not say."""
    records = [_record(row) for row in rows]
    lines = [
        _TABLE_COLUMNS,
        *(tuple(visible(record[name]) for name in _TABLE_COLUMNS) for record in records),
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        + "\n"
        for line in lines
    )


def as_json(rows: Sequence[DecisionRow]) -> str:
    """Return one JSON array; each object has the columns and the whole `event`."""
    objects = [
        {
            "time": format_time(row.timestamp),
            "decision_id": row.decision_id,
            "path": row.path,
            "function": row.function,
            "subject": row.subject,
            "action": row.action,
            "result": row.result,
            "revisions": row.revisions,
            "requested_by": row.requested_by,
            "error": row.error,
            "labels": msgspec.Raw(row.labels.encode()),
            "event": msgspec.Raw(row.event.encode()),
        }
        for row in rows
    ]
    return indent_json(encode_json(objects)).decode() + "\n"


def as_csv(rows: Sequence[DecisionRow]) -> str:
    """Return RFC 4180 lines under a header; an empty cell stands for what an event does not say."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_CSV_COLUMNS)
    for row in rows:
        record = _record(row)
        writer.writerow([record[name] for name in _CSV_COLUMNS])
    return out.getvalue()


FORMATS: Final[Mapping[str, Callable[[Sequence[DecisionRow]], str]]] = {
    "table": as_table,
    "json": as_json,
    "csv": as_csv,
}


def _record(row: DecisionRow) -> dict[str, str]:
    return {
        "time": format_time(row.timestamp),
        "function": row.function or "",
        "subject": row.subject or "",
        "path": row.path or "",
        "result": row.result,
        "revision": ",".join(
            f"{name}={revision}" if name else revision for name, revision in row.revisions.items()
        ),
        "decision_id": row.decision_id,
        "action": row.action or "",
        "requested_by": row.requested_by or "",
        "error": row.error or "",
        "labels": row.labels,
        "event": row.event,
    }


def format_time(moment: datetime) -> str:
    """Return a UTC time in RFC 3339 with microseconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def visible(text: str) -> str:
    """Return a text with "-" for an empty one and escapes for what terminals act upon."""
    if text.isprintable():
        return text or "-"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
