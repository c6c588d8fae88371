"""Remember how far each stream had come when its entries arrived: the store's witness.

What is cut off the end of a stream leaves no gap, and a stream that is gone leaves nothing; only
a second place that has seen them can tell. Here it is a SQLite file beside the catalog; numbers
in it only grow.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from policy_agent.auditor.row import DecisionRow, ResultKind
from policy_agent.errors import AuditError

HEADS_FILE: Final = "heads.db"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_BUSY_SECONDS: Final = 30
_CREATE: Final = """CREATE TABLE IF NOT EXISTS heads (
    instance TEXT PRIMARY KEY, last_seq INTEGER NOT NULL, closed INTEGER NOT NULL,
    function TEXT, first_us INTEGER NOT NULL, last_us INTEGER NOT NULL
) WITHOUT ROWID"""
_RAISE: Final = """INSERT INTO heads VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (instance) DO UPDATE SET
    last_seq = max(last_seq, excluded.last_seq), closed = max(closed, excluded.closed),
    function = coalesce(function, excluded.function),
    first_us = min(first_us, excluded.first_us), last_us = max(last_us, excluded.last_us)"""
_SELECT: Final = """SELECT instance, last_seq, closed, function, first_us, last_us FROM heads
    ORDER BY instance"""


@dataclass(frozen=True, slots=True)
class Head:
    """What has been seen of one stream.

    Attributes:
        last_seq: the largest number.
        closed: whether its closing record has come.
        first_at: time of the earliest entry seen, and of the latest.
    """

    instance: str
    last_seq: int
    closed: bool
    function: str | None
    first_at: datetime
    last_at: datetime


def note_heads(directory: Path, rows: Iterable[DecisionRow]) -> None:
    """Take note of numbered rows, in any order and however often.

    Raises:
        AuditError: the file cannot be written.
    """
    heads: dict[str, tuple[str, int, bool, str | None, int, int]] = {}
    for row in rows:
        if row.instance is None or row.seq is None:
            continue
        at_us = (row.timestamp - _EPOCH) // _MICROSECOND
        closes = row.result is ResultKind.CLOSE
        head = (row.instance, row.seq, closes, row.function, at_us, at_us)
        if seen := heads.get(row.instance):
            _, seq, closed, function, first_us, last_us = seen
            head = (
                row.instance,
                max(seq, row.seq),
                closed or closes,
                function or row.function,
                min(first_us, at_us),
                max(last_us, at_us),
            )
        heads[row.instance] = head
    if not heads:
        return
    path = directory / HEADS_FILE
    try:
        with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)) as connection, connection:
            connection.execute(_CREATE)
            connection.executemany(_RAISE, heads.values())
    except sqlite3.Error as exc:
        raise AuditError(f"cannot write {path}: {exc}") from exc


def read_heads(directory: Path) -> list[Head]:
    """Return what has been noted, by instance; nothing when there is no file.

    Raises:
        AuditError: the file cannot be read.
    """
    path = directory / HEADS_FILE
    if not path.exists():
        return []
    try:
        uri = f"{path.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS)) as connection:
            return [
                Head(instance, last_seq, bool(closed), function, _moment(first), _moment(last))
                for instance, last_seq, closed, function, first, last in connection.execute(_SELECT)
            ]
    except sqlite3.Error as exc:
        raise AuditError(f"cannot read {path}: {exc}") from exc


def _moment(at_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at_us)
