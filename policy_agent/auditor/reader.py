"""Ask what is in Parquet files of decisions: what the store and loose files have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Final, Self

import duckdb
import pyarrow as pa
from pyiceberg import exceptions as iceberg
from pyiceberg.expressions import BooleanExpression
from pyiceberg.schema import Schema
from sqlalchemy.exc import SQLAlchemyError

from policy_agent.auditor.anomalies import Tally
from policy_agent.auditor.filters import Filters
from policy_agent.auditor.finding import Finding
from policy_agent.auditor.row import DecisionRow, ResultKind
from policy_agent.auditor.scan import fetch, filter_condition, stream
from policy_agent.auditor.table import as_duckdb_source
from policy_agent.auditor.verify import Unnumbered
from policy_agent.errors import AuditError

FOREIGN_ERRORS: Final = (
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
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)
_COLUMNS: Final = (
    'decision_id, epoch_us("timestamp"), path, labels, "function", subject, "action",'
    ' "result", revisions, requested_by, error, event, _src, instance, seq, "chain"'
)


class Reader(ABC):
    """Answers questions; the files are named anew for each. Use as a context manager, or close it.

    Args:
        name: of what is read, for errors.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def unreadable(self) -> Sequence[Finding]:
        """What in it is no entry."""
        return ()

    @abstractmethod
    def close(self) -> None:
        """Let go of what is read."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @abstractmethod
    def _files(self, condition: BooleanExpression) -> list[str]:
        """Return the paths of the files that may hold rows under a condition."""

    @abstractmethod
    def _schema(self) -> Schema:
        """Return the schema that says which column of theirs is which."""

    def query(self, filters: Filters | None = None, *, limit: int = 100) -> list[DecisionRow]:
        """Return up to `limit` decisions, newest first.

        Raises:
            AuditError: it cannot be read.
        """
        order = f'ORDER BY "timestamp" DESC, decision_id DESC LIMIT {limit:d}'
        return [_to_row(*record) for record in self._select(_COLUMNS, filters, order)]

    def count(self, filters: Filters | None = None) -> int:
        """Return how many decisions meet the filters.

        Raises:
            AuditError: it cannot be read.
        """
        return sum(count for (count,) in self._select("count(*)", filters))

    def tallies(self, since: datetime, until: datetime) -> list[Tally]:
        """Return how many decisions and denials there were, by function and subject.

        Raises:
            AuditError: it cannot be read.
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
            AuditError: it cannot be read.
        """
        parameters: dict[str, Any] = {}
        with self._own_errors("read"):
            rows = as_duckdb_source(self._schema())
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
            if files := self._files(filter_condition(Filters())):
                for record in stream(sql, files, parameters):
                    yield _to_row(*record)

    def stream_of(self, instance: str) -> Iterator[DecisionRow]:
        """Yield the rows of one stream by number; it must be exhausted before `close`.

        Raises:
            AuditError: it cannot be read.
        """
        with self._own_errors("read"):
            rows = as_duckdb_source(self._schema())
            sql = f"""SELECT {_COLUMNS} FROM {rows} WHERE instance = $instance
                ORDER BY seq, "timestamp", decision_id"""  # noqa: S608
            if files := self._files(filter_condition(Filters())):
                for record in stream(sql, files, {"instance": instance}):
                    yield _to_row(*record)

    def unnumbered(self, since: datetime | None, until: datetime | None) -> list[Unnumbered]:
        """Return how many rows of each function nobody has numbered.

        Raises:
            AuditError: it cannot be read.
        """
        filters = Filters(since=since, until=until)
        columns = '"function", count(*), epoch_us(min("timestamp"))'
        grouped = 'AND instance IS NULL GROUP BY "function" ORDER BY "function"'
        return [
            Unnumbered(function, count, from_us(at_us))
            for function, count, at_us in self._select(columns, filters, grouped)
        ]

    def _select(
        self, columns: str, filters: Filters | None, rest: str = ""
    ) -> list[tuple[Any, ...]]:
        filters = filters or Filters()
        where, parameters = filters.to_sql()
        with self._own_errors("read"):
            files = self._files(filter_condition(filters))
            if not files:
                return []
            rows = as_duckdb_source(self._schema())
            sql = f"SELECT {columns} FROM {rows} WHERE {where} {rest}"  # noqa: S608
            return fetch(sql, files, parameters)

    @contextmanager
    def _own_errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except FOREIGN_ERRORS as exc:
            raise AuditError(f"cannot {doing} {self._name}: {exc}") from exc


def from_us(at_us: int) -> datetime:
    """Return the time so many microseconds after the epoch."""
    return _EPOCH + timedelta(microseconds=at_us)


def _to_row(decision_id: str, at_us: int, *values: Any) -> DecisionRow:
    path, labels, function, subject, action, result, *rest = values
    return DecisionRow(
        decision_id,
        from_us(at_us),
        path,
        labels,
        function,
        subject,
        action,
        ResultKind(result),
        *rest,
    )
