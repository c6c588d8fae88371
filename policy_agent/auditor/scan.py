"""Read the table: pyiceberg names the files of one snapshot, DuckDB reads them.

No snapshot is ever half visible, so a reader needs no lock beside a writer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date, datetime
from typing import Any, Final

import duckdb
import pyarrow as pa
from pyiceberg.expressions import (
    AlwaysTrue,
    And,
    BooleanExpression,
    EqualTo,
    GreaterThanOrEqual,
    LessThan,
    LessThanOrEqual,
    Or,
)
from pyiceberg.table import Table

from policy_agent.auditor.file_io import local_path
from policy_agent.auditor.filters import Filters
from policy_agent.auditor.row import DecisionRow
from policy_agent.errors import AuditError

_SETTINGS: Final = {
    "memory_limit": "1GB",
    "autoinstall_known_extensions": "false",  # never reach for the network
}
_MAX_WINDOWS: Final = 32
_FETCH_ROWS: Final = 2048


def plan_files(table: Table, condition: BooleanExpression) -> list[str]:
    """Return the paths of the data files that may hold rows under `condition`.

    Raises:
        AuditError: another engine wrote row-level deletes, which Parquet files alone do not show.
    """
    tasks = list(table.scan(row_filter=condition).plan_files())
    if any(task.delete_files for task in tasks):
        raise AuditError("the table has row-level deletes; rewrite its data files first")
    return [str(local_path(task.file.file_path)) for task in tasks]


def fetch(
    sql: str,
    files: Sequence[str],
    parameters: Mapping[str, Any],
    tables: Mapping[str, pa.Table] | None = None,
) -> list[tuple[Any, ...]]:
    """Run one query over the files.

    Args:
        parameters: name -> value of each `$name` in `sql`, but `$files`.
        tables: name -> Arrow table that `sql` may also read.
    """
    with closing(_connect()) as connection:
        for name, table in (tables or {}).items():
            connection.register(name, table)
        return connection.execute(sql, {**parameters, "files": list(files)}).fetchall()


def fetch_arrow(sql: str, files: Sequence[str]) -> pa.Table:
    """Run one query over the files for all that it finds."""
    with closing(_connect()) as connection:
        return connection.sql(sql, params={"files": list(files)}).to_arrow_table()


def stream(
    sql: str, files: Sequence[str], parameters: Mapping[str, Any]
) -> Iterator[tuple[Any, ...]]:
    """Yield what one query finds, whose sorting may take more disk than memory.

    Args:
        parameters: name -> value of each `$name` in `sql`, but `$files`.
    """
    with (
        tempfile.TemporaryDirectory(prefix="audit-") as spill,
        closing(_connect(temp_directory=spill)) as connection,
    ):
        result = connection.execute(sql, {**parameters, "files": list(files)})
        while records := result.fetchmany(_FETCH_ROWS):
            yield from records


def _connect(**settings: str) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={**_SETTINGS, **settings})
    connection.execute("SET TimeZone = 'UTC'")
    # It would be in the middle of what a command prints.
    connection.execute("SET enable_progress_bar = false")
    return connection


def filter_condition(filters: Filters) -> BooleanExpression:
    """Return the part of the filters that the statistics of whole files can decide."""
    condition: BooleanExpression = AlwaysTrue()
    if filters.since is not None:
        condition = And(condition, _compare(GreaterThanOrEqual, "timestamp", filters.since))
    if filters.until is not None:
        condition = And(condition, _compare(LessThan, "timestamp", filters.until))
    if filters.decision_id is not None:
        condition = And(condition, _compare(EqualTo, "decision_id", filters.decision_id))
    return condition


def same_times_condition(rows: Sequence[DecisionRow]) -> BooleanExpression:
    """Return a condition that every stored copy of these rows meets, however old they are.

    One window a day, so that one event from a wrong clock does not widen the search to all that
    lies between; a batch over very many days is searched as one window.
    """
    windows: dict[date, tuple[datetime, datetime]] = {}
    for row in rows:
        first, last = windows.get(row.timestamp.date(), (row.timestamp, row.timestamp))
        windows[row.timestamp.date()] = min(first, row.timestamp), max(last, row.timestamp)
    bounds = list(windows.values())
    if len(bounds) > _MAX_WINDOWS:
        bounds = [(min(first for first, _ in bounds), max(last for _, last in bounds))]
    conditions: list[BooleanExpression] = [
        And(
            _compare(GreaterThanOrEqual, "timestamp", first),
            _compare(LessThanOrEqual, "timestamp", last),
        )
        for first, last in bounds
    ]
    return conditions[0] if len(conditions) == 1 else Or(*conditions)


def _compare(
    kind: Callable[..., BooleanExpression], column: str, value: str | datetime
) -> BooleanExpression:
    # pyiceberg's models show type checkers another signature than the one they have.
    return kind(column, value)
