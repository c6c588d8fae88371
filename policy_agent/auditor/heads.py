"""Remember how far each stream had come when its entries arrived: the store's witness.

What is cut off the end of a stream leaves no gap, and a stream that is gone leaves nothing; only
a second place that has seen them can tell. Here it is a SQLite file beside the catalog; numbers
in it only grow. It also knows what retention has dropped, and how that was linked to what is left.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

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


_CREATE_DROPPED: Final = """CREATE TABLE IF NOT EXISTS dropped (
    instance TEXT NOT NULL, first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL,
    prev TEXT NOT NULL, chain TEXT NOT NULL, PRIMARY KEY (instance, first_seq, last_seq)
) WITHOUT ROWID"""


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


@dataclass(frozen=True, slots=True)
class Dropped:
    """Neighbouring entries of one stream that retention has dropped.

    Attributes:
        prev: the chain value that the first of them followed, "" at the head of a stream.
        chain: that of the last of them, which the next entry follows.
    """

    instance: str
    first_seq: int
    last_seq: int
    prev: str
    chain: str


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
    with _writing(directory) as connection:
        connection.execute(_CREATE)
        connection.executemany(_RAISE, heads.values())


def note_dropped(directory: Path, dropped: Iterable[Dropped]) -> None:
    """Take note of what is about to be dropped; once more is no harm.

    Raises:
        AuditError: the file cannot be written.
    """
    with _writing(directory) as connection:
        connection.execute(_CREATE_DROPPED)
        connection.executemany(
            "INSERT OR IGNORE INTO dropped VALUES (?, ?, ?, ?, ?)",
            [(run.instance, run.first_seq, run.last_seq, run.prev, run.chain) for run in dropped],
        )


def read_heads(directory: Path) -> list[Head]:
    """Return what has been noted, by instance; nothing when there is no file.

    Raises:
        AuditError: the file cannot be read.
    """
    return [
        Head(instance, last_seq, bool(closed), function, _moment(first), _moment(last))
        for instance, last_seq, closed, function, first, last in _read(directory, "heads", _SELECT)
    ]


def read_dropped(directory: Path) -> dict[str, list[Dropped]]:
    """Return what retention has dropped, by instance and in the order of numbers.

    Raises:
        AuditError: the file cannot be read.
    """
    sql = "SELECT instance, first_seq, last_seq, prev, chain FROM dropped ORDER BY 1, 2, 3"
    runs: dict[str, list[Dropped]] = {}
    for record in _read(directory, "dropped", sql):
        runs.setdefault(record[0], []).append(Dropped(*record))
    return runs


@contextmanager
def _writing(directory: Path) -> Iterator[sqlite3.Connection]:
    path = directory / HEADS_FILE
    try:
        with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)) as connection, connection:
            yield connection
    except sqlite3.Error as exc:
        raise AuditError(f"cannot write {path}: {exc}") from exc


def _read(directory: Path, table: str, sql: str) -> list[tuple[Any, ...]]:
    """Return what a query finds; nothing where the file or the table is not there."""
    path = directory / HEADS_FILE
    if not path.exists():
        return []
    try:
        uri = f"{path.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS)) as connection:
            known = "SELECT 1 FROM sqlite_schema WHERE name = ?"
            if connection.execute(known, (table,)).fetchone() is None:
                return []
            return connection.execute(sql).fetchall()
    except sqlite3.Error as exc:
        raise AuditError(f"cannot read {path}: {exc}") from exc


def _moment(at_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at_us)
