"""Drop old days from the table so that what is left can still be proven.

(1) Of each stream, what is about to go is noted in the witness: its numbers, and the chain values
before and after; (2) one commit takes the files of these days out of the table; (3) old snapshots
and the files themselves are deleted. A crash leaves a step to be done again; what is noted but is
still there is verified like everything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from pyiceberg.expressions import AlwaysTrue
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from policy_agent.audit_chain import audit_of
from policy_agent.auditor.compaction import exchange
from policy_agent.auditor.expiry import expire_old_snapshots
from policy_agent.auditor.file_io import local_path
from policy_agent.auditor.heads import Dropped, note_dropped
from policy_agent.auditor.scan import stream
from policy_agent.auditor.table import as_duckdb_source
from policy_agent.codec import decode_json
from policy_agent.errors import AuditError, DocumentError

_EPOCH_DAY: Final = datetime(1970, 1, 1, tzinfo=UTC).date()


@dataclass(frozen=True, slots=True)
class Expired:
    """What was dropped: files, rows, and runs of neighbouring entries that were noted."""

    files: int = 0
    rows: int = 0
    runs: int = 0


def expire(table: Table, directory: Path, before: date) -> Expired:
    """Drop every day before one, UTC.

    Args:
        directory: of the store, where the witness is.

    Raises:
        AuditError: nothing was dropped.
    """
    files = [
        task.file
        for task in table.scan(row_filter=AlwaysTrue()).plan_files()
        if _day_of(task.file) < (before - _EPOCH_DAY).days
    ]
    if not files:
        return Expired()
    runs = list(_runs(table, files))
    note_dropped(directory, runs)
    if not exchange(table, files, []):
        raise AuditError("the table was changed meanwhile; run this again")
    expire_old_snapshots(table, most=1, kept=1)
    return Expired(len(files), sum(file.record_count for file in files), len(runs))


def _day_of(file: DataFile) -> int:
    return int(file.partition[0])


def _runs(table: Table, files: list[DataFile]) -> Iterator[Dropped]:
    """Yield the numbered entries of the files as runs of neighbours."""
    rows = as_duckdb_source(table.schema())
    sql = f"""WITH entry AS (
            SELECT instance, seq, min_by(event, event) AS event, min_by("chain", event) AS "chain"
            FROM {rows} WHERE instance IS NOT NULL AND seq IS NOT NULL GROUP BY instance, seq
        ), numbered AS (
            SELECT *, seq - row_number() OVER (PARTITION BY instance ORDER BY seq) AS island
            FROM entry
        )
        SELECT instance, min(seq), max(seq), arg_min(event, seq), arg_max("chain", seq)
        FROM numbered GROUP BY instance, island ORDER BY 1, 2"""  # noqa: S608
    for instance, first_seq, last_seq, event, chain in stream(
        sql, [str(local_path(file.file_path)) for file in files], {}
    ):
        yield Dropped(instance, first_seq, last_seq, _prev_of(event), chain or "")


def _prev_of(event: str) -> str:
    try:
        return str(audit_of(decode_json(event.encode())).get("prev", ""))
    except DocumentError:
        return ""
