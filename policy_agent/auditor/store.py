"""The audit store: append decisions exactly once, ask for them.

Needs the `audit` extra. One process appends; any number may ask beside it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import duckdb
import pyarrow as pa
from pyiceberg import exceptions as iceberg
from sqlalchemy.exc import SQLAlchemyError

from policy_agent.auditor.anomalies import Tally
from policy_agent.auditor.durable import make_directory
from policy_agent.auditor.expiry import expire_old_snapshots
from policy_agent.auditor.filters import Filters
from policy_agent.auditor.heads import note_heads
from policy_agent.auditor.row import DecisionRow, ResultKind
from policy_agent.auditor.scan import (
    fetch,
    filter_condition,
    plan_files,
    same_times_condition,
    stream,
)
from policy_agent.auditor.table import (
    CATALOG_FILE,
    as_duckdb_source,
    create_table,
    load_table,
    open_catalog,
    to_arrow,
)
from policy_agent.auditor.verify import Unnumbered
from policy_agent.codec import decode_json, encode_json
from policy_agent.errors import AuditError

log = logging.getLogger(__name__)

_SOURCES_PROPERTY: Final = "policy-agent.committed-sources"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)
_COLUMNS: Final = (
    'decision_id, epoch_us("timestamp"), path, labels, "function", subject, "action",'
    ' "result", revisions, requested_by, error, event, _src, instance, seq, "chain"'
)
_FOREIGN_ERRORS: Final = (
    OSError,
    ValueError,
    pa.ArrowException,
    duckdb.Error,
    SQLAlchemyError,
    iceberg.CommitFailedException,
    iceberg.NoSuchTableError,
    iceberg.RESTError,
    iceberg.ValidationError,
    iceberg.ValidationException,
)


@dataclass(frozen=True, slots=True)
class AppendResult:
    """What became of a batch.

    Attributes:
        stored: decisions added.
        duplicates: rows that the batch or the store already had.
        closings: closing records added.
    """

    stored: int
    duplicates: int
    closings: int = 0


class AuditStore:
    """The decisions in one directory. Use as a context manager, or close it."""

    def __init__(self, directory: str | Path) -> None:
        """Open an existing store.

        Raises:
            AuditError: there is none.
        """
        directory = Path(directory)
        if not directory.is_dir():
            raise AuditError(f"{directory}: no such directory")
        if not (directory / CATALOG_FILE).is_file():
            msg = f"{directory} holds no audit store; `policy-agent audit serve` creates one"
            raise AuditError(msg)
        self._directory = directory
        with self._own_errors("open"), ExitStack() as opened:
            self._catalog = opened.enter_context(open_catalog(directory))
            self._table = load_table(self._catalog)
            opened.pop_all()  # it stays open: `close` closes it

    @classmethod
    def create(cls, directory: str | Path) -> Self:
        """Open the store in `directory`, creating both when they do not exist.

        Raises:
            AuditError: it cannot be created there.
        """
        directory = Path(directory)
        try:
            make_directory(directory.resolve())
            with open_catalog(directory) as catalog:
                create_table(catalog)
        except _FOREIGN_ERRORS as exc:
            raise AuditError(f"cannot create the store in {directory}: {exc}") from exc
        return cls(directory)

    def committed_sources(self) -> frozenset[str]:
        """Return the bodies of the last append, which a crash may have left in the spool.

        Raises:
            AuditError: the store cannot be read.
        """
        with self._own_errors("read"):
            self._table.refresh()
        return frozenset(decode_json(self._table.properties.get(_SOURCES_PROPERTY, "[]").encode()))

    def append_batch(self, rows: Sequence[DecisionRow], sources: Collection[str]) -> AppendResult:
        """Add the decisions that the store does not have yet, in one commit with their sources.

        A decision is the same as another when id and timestamp agree: a re-delivered event is
        unchanged, so looking at its own time finds the first copy however late the second comes.

        Args:
            rows: decisions, in any order.
            sources: every body that the rows came in.

        Raises:
            AuditError: nothing was added.
        """
        with self._own_errors("append to"):
            self._table.refresh()
            unique = {row.key: row for row in reversed(rows)}
            for key in self._known_keys(list(unique.values())):
                unique.pop(key, None)
            if unique:
                fresh = sorted(unique.values(), key=lambda row: row.timestamp)
                with self._table.transaction() as transaction:
                    transaction.append(to_arrow(fresh, self._table.schema().as_arrow()))
                    encoded = encode_json(sorted(sources)).decode()
                    transaction.set_properties({_SOURCES_PROPERTY: encoded})
        try:
            expire_old_snapshots(self._table)
        except _FOREIGN_ERRORS as exc:
            # The rows are committed, so this is no failure; the next append tries again.
            log.warning("cannot expire old snapshots: %s", exc)
        try:
            # After the commit: a reader who looks here first finds all of it in the table.
            note_heads(self._directory, rows)
        except AuditError as exc:
            log.warning("the end of a stream might not be missed: %s", exc)
        closings = sum(row.result is ResultKind.CLOSE for row in unique.values())
        return AppendResult(len(unique) - closings, len(rows) - len(unique), closings)

    def query(self, filters: Filters | None = None, *, limit: int = 100) -> list[DecisionRow]:
        """Return up to `limit` decisions, newest first.

        Raises:
            AuditError: the store cannot be read.
        """
        order = f'ORDER BY "timestamp" DESC, decision_id DESC LIMIT {limit:d}'
        return [_to_row(*record) for record in self._select(_COLUMNS, filters, order)]

    def count(self, filters: Filters | None = None) -> int:
        """Return how many decisions meet the filters.

        Raises:
            AuditError: the store cannot be read.
        """
        return sum(count for (count,) in self._select("count(*)", filters))

    def tallies(self, since: datetime, until: datetime) -> list[Tally]:
        """Return how many decisions and denials there were, by function and subject.

        Raises:
            AuditError: the store cannot be read.
        """
        filters = Filters(since=since, until=until)
        denials = f"count(*) FILTER (result = '{ResultKind.DENY}')"
        grouped = 'GROUP BY "function", "subject"'
        columns = f'"function", "subject", count(*), {denials}'
        return [Tally(*record) for record in self._select(columns, filters, grouped)]

    def streams(
        self, since: datetime | None, until: datetime | None, instances: Sequence[str]
    ) -> Iterator[DecisionRow]:
        """Yield the numbered rows by instance and number; it must be exhausted before `close`.

        Args:
            since: with `until`, only streams that have anything in this window, but all of them.
            instances: streams to include whatever their times.

        Raises:
            AuditError: the store cannot be read.
        """
        parameters: dict[str, Any] = {}
        with self._own_errors("read"):
            self._table.refresh()
            rows = as_duckdb_source(self._table.schema())
            where = "instance IS NOT NULL"
            if since is not None or until is not None:
                where = f"""instance IN (
                    SELECT instance FROM {rows} GROUP BY instance
                    HAVING max("timestamp") >= $since AND min("timestamp") < $until
                    UNION ALL SELECT unnest($instances::VARCHAR[]))"""  # noqa: S608
                parameters = {"since": since or _FIRST, "until": until or _LAST}
                parameters["instances"] = list(instances)
            sql = f"""SELECT {_COLUMNS} FROM {rows} WHERE {where}
                ORDER BY instance, seq, "timestamp", decision_id"""  # noqa: S608
            if files := plan_files(self._table, filter_condition(Filters())):
                for record in stream(sql, files, parameters):
                    yield _to_row(*record)

    def unnumbered(self, since: datetime | None, until: datetime | None) -> list[Unnumbered]:
        """Return how many rows of each function nobody has numbered.

        Raises:
            AuditError: the store cannot be read.
        """
        filters = Filters(since=since, until=until)
        columns = '"function", count(*), epoch_us(min("timestamp"))'
        grouped = 'AND instance IS NULL GROUP BY "function" ORDER BY "function"'
        return [
            Unnumbered(function, count, _from_us(at_us))
            for function, count, at_us in self._select(columns, filters, grouped)
        ]

    def _select(
        self, columns: str, filters: Filters | None, rest: str = ""
    ) -> list[tuple[Any, ...]]:
        filters = filters or Filters()
        where, parameters = filters.to_sql()
        with self._own_errors("read"):
            self._table.refresh()
            files = plan_files(self._table, filter_condition(filters))
            if not files:
                return []
            rows = as_duckdb_source(self._table.schema())
            sql = f"SELECT {columns} FROM {rows} WHERE {where} {rest}"  # noqa: S608
            return fetch(sql, files, parameters)

    def _known_keys(self, rows: Sequence[DecisionRow]) -> Iterator[tuple[str, datetime]]:
        if not rows:
            return
        files = plan_files(self._table, same_times_condition(rows))
        if not files:
            return
        batch = pa.table(
            {
                "id": [row.decision_id for row in rows],
                "at": pa.array([row.timestamp for row in rows], pa.timestamp("us", tz="UTC")),
            }
        )
        stored = as_duckdb_source(self._table.schema())
        sql = (
            f'SELECT decision_id, epoch_us("timestamp") FROM {stored}'  # noqa: S608
            ' SEMI JOIN batch ON decision_id = batch.id AND "timestamp" = batch."at"'
        )
        for decision_id, at_us in fetch(sql, files, {}, {"batch": batch}):
            yield decision_id, _from_us(at_us)

    @contextmanager
    def _own_errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except _FOREIGN_ERRORS as exc:
            raise AuditError(f"cannot {doing} the store in {self._directory}: {exc}") from exc

    def close(self) -> None:
        """Release the catalog's connection."""
        self._catalog.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _from_us(at_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at_us)


def _to_row(decision_id: str, at_us: int, *values: Any) -> DecisionRow:
    path, labels, function, subject, action, result, *rest = values
    return DecisionRow(
        decision_id,
        _from_us(at_us),
        path,
        labels,
        function,
        subject,
        action,
        ResultKind(result),
        *rest,
    )
