"""Rewrite the many small files of each day as few: files are what queries and verification pay for.

Each group of small files is (1) read, sorted by time and written anew, (2) read back from disk and
compared with the old files row for row, (3) put in their place by one commit. That commit names
files, not rows, so what is appended meanwhile is not touched. A crash before (3) leaves new files
that nothing refers to, a crash after it old ones; both go later (`expiry`). No row is changed, left
out or brought together with another: what `audit verify` finds before, it finds after.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from pyiceberg.exceptions import CommitFailedException, ValidationException
from pyiceberg.io.pyarrow import _dataframe_to_data_files
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from policy_agent.auditor.file_io import local_path
from policy_agent.auditor.scan import fetch, fetch_arrow
from policy_agent.auditor.table import SCHEMA, as_duckdb_source
from policy_agent.errors import AuditError

log = logging.getLogger(__name__)

# A sorted group is held in memory, at about 1 KB a decision.
MOST_ROWS: Final = 100_000
MOST_BYTES: Final = 16 << 20
_ATTEMPTS: Final = 5
_PAUSE_SECONDS: Final = 0.2
_TIMESTAMP_ID: Final = 2
_COLUMNS: Final = ", ".join(f'"{field.name}"' for field in SCHEMA.fields)


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a compaction has done; `left` groups were changed by someone else meanwhile."""

    before: int = 0
    after: int = 0
    rows: int = 0
    left: int = 0


def compact(table: Table, least_files: int = 2) -> Compacted:
    """Rewrite what small files the table has.

    Args:
        least_files: fewer of a day are left alone.

    Raises:
        AuditError: a new file does not hold what the old ones do; nothing refers to it.
    """
    done = Compacted()
    for old in _groups(task.file for task in table.scan().plan_files()):
        if len(old) < least_files:
            continue
        new = _rewrite(table, old)
        if exchange(table, old, new):
            rows = sum(file.record_count for file in old)
            done = Compacted(
                done.before + len(old), done.after + len(new), done.rows + rows, done.left
            )
        else:
            delete_files(table, (file.file_path for file in new))
            done = Compacted(done.before, done.after, done.rows, done.left + 1)
    return done


def exchange(table: Table, old: Sequence[DataFile], new: Sequence[DataFile]) -> bool:
    """Put new files in the place of old ones in one commit.

    Returns:
        False when someone else has replaced an old one, or commits too often; nothing has changed.
    """
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE_SECONDS * attempt)
        table.refresh()
        try:
            with (
                table.transaction() as transaction,
                transaction.update_snapshot().overwrite() as snapshot,
            ):
                for file in old:
                    snapshot.delete_data_file(file)
                for file in new:
                    snapshot.append_data_file(file)
        except (CommitFailedException, ValidationException) as exc:
            log.info("the table was changed by someone else: %s", exc)
        else:
            return True
    return False


def delete_files(table: Table, locations: Iterable[str]) -> None:
    """Delete files that nothing refers to; some may be gone already."""
    for location in locations:
        with suppress(FileNotFoundError):
            table.io.delete(location)


def _groups(files: Iterable[DataFile]) -> Iterator[list[DataFile]]:
    """Yield small files of one day each, in the order of time, as many as may become one."""
    days: dict[object, list[DataFile]] = defaultdict(list)
    for file in files:
        if file.record_count < MOST_ROWS // 2 and file.file_size_in_bytes < MOST_BYTES // 2:
            days[file.partition[0]].append(file)
    for small in days.values():
        group: list[DataFile] = []
        rows = size_bytes = 0
        for file in sorted(small, key=_first_time):
            rows += file.record_count
            size_bytes += file.file_size_in_bytes
            if group and (rows > MOST_ROWS or size_bytes > MOST_BYTES):
                yield group
                group, rows, size_bytes = [], file.record_count, file.file_size_in_bytes
            group.append(file)
        yield group


def _first_time(file: DataFile) -> int:
    # Iceberg's single-value form of a timestamp: microseconds, little-endian.
    return int.from_bytes((file.lower_bounds or {}).get(_TIMESTAMP_ID, b""), "little", signed=True)


def _rewrite(table: Table, old: Sequence[DataFile]) -> list[DataFile]:
    """Write the rows of old files to new ones, and make sure that they are there."""
    rows = as_duckdb_source(table.schema())
    order = '"timestamp", decision_id, instance, seq'
    sql = f"SELECT {_COLUMNS} FROM {rows} ORDER BY {order}"  # noqa: S608
    sorted_rows = fetch_arrow(sql, _paths(old)).cast(table.schema().as_arrow())
    new = list(_dataframe_to_data_files(table.metadata, sorted_rows, table.io, write_uuid=uuid4()))
    if _digest(table, old) != _digest(table, new):
        delete_files(table, (file.file_path for file in new))
        raise AuditError("a compacted file does not hold what the files before it do")
    return new


def _digest(table: Table, files: Sequence[DataFile]) -> tuple[int, int]:
    """Return the number of rows and the sum of their hashes, which does not depend on order."""
    rows = as_duckdb_source(table.schema())
    sql = (
        "SELECT count(*), coalesce(sum(hash(each)::HUGEINT), 0)"  # noqa: S608
        f" FROM (SELECT {_COLUMNS} FROM {rows}) AS each"
    )
    [(count, total)] = fetch(sql, _paths(files), {})
    return count, total


def _paths(files: Sequence[DataFile]) -> list[str]:
    return [str(local_path(file.file_path)) for file in files]
