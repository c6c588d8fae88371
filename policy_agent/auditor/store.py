"""The audit store: append decisions exactly once, ask for them.

Needs the `audit` extra. One process appends; any number may ask beside it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final, Self

import pyarrow as pa
from pyiceberg.expressions import BooleanExpression
from pyiceberg.schema import Schema

from policy_agent.auditor.compaction import Compacted, compact
from policy_agent.auditor.durable import make_directory
from policy_agent.auditor.expiry import delete_orphans, expire_old_snapshots
from policy_agent.auditor.heads import note_heads
from policy_agent.auditor.reader import FOREIGN_ERRORS, Reader, from_us
from policy_agent.auditor.retention import Expired, expire
from policy_agent.auditor.row import DecisionRow, ResultKind
from policy_agent.auditor.scan import fetch, plan_files, same_times_condition
from policy_agent.auditor.table import (
    CATALOG_FILE,
    as_duckdb_source,
    create_table,
    load_table,
    open_catalog,
    to_arrow,
)
from policy_agent.codec import decode_json, encode_json
from policy_agent.errors import AuditError

log = logging.getLogger(__name__)

_SOURCES_PROPERTY: Final = "policy-agent.committed-sources"


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


class AuditStore(Reader):
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
        super().__init__(f"the store in {directory}")
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
        except FOREIGN_ERRORS as exc:
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
        except FOREIGN_ERRORS as exc:
            # The rows are committed, so this is no failure; the next append tries again.
            log.warning("cannot expire old snapshots: %s", exc)
        try:
            # After the commit: a reader who looks here first finds all of it in the table.
            note_heads(self._directory, rows)
        except AuditError as exc:
            log.warning("the end of a stream might not be missed: %s", exc)
        closings = sum(row.result is ResultKind.CLOSE for row in unique.values())
        return AppendResult(len(unique) - closings, len(rows) - len(unique), closings)

    def compact(self, least_files: int = 2) -> Compacted:
        """Rewrite small files as large ones; others may append and ask meanwhile.

        Args:
            least_files: fewer of a day are left alone.

        Raises:
            AuditError: it could not be done; every row is where it was.
        """
        with self._own_errors("compact"):
            self._table.refresh()
            return compact(self._table, least_files)

    def expire(self, before: date) -> Expired:
        """Drop every day before one, UTC; the witness keeps what proves the rest.

        Raises:
            AuditError: nothing was dropped.
        """
        with self._own_errors("expire days of"):
            self._table.refresh()
            return expire(self._table, self._directory, before)

    def delete_orphans(self) -> int:
        """Delete the files that crashes have left, and return how many.

        Raises:
            AuditError: the store cannot be read.
        """
        with self._own_errors("clean"):
            self._table.refresh()
            return delete_orphans(self._table)

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
            yield decision_id, from_us(at_us)

    def _files(self, condition: BooleanExpression) -> list[str]:
        self._table.refresh()
        return plan_files(self._table, condition)

    def _schema(self) -> Schema:
        return self._table.schema()

    def close(self) -> None:
        """Release the catalog's connection."""
        self._catalog.close()
