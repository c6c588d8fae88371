"""Ask what the sinks have written as if it were in a store: read once, into Parquet files that go.

Sinks deliver at least once, so the same text twice is one entry; two texts of one number are two.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq
from pyiceberg.expressions import BooleanExpression
from pyiceberg.schema import Schema

from policy_agent.auditor.extract import extract_row
from policy_agent.auditor.finding import Finding, Kind
from policy_agent.auditor.reader import Reader
from policy_agent.auditor.row import DecisionRow
from policy_agent.auditor.sources import SourceFile, entries_of, read_sources
from policy_agent.auditor.table import SCHEMA, to_arrow
from policy_agent.errors import AuditError, RequestError

_ROWS_A_FILE: Final = 20_000


class LooseEntries(Reader):
    """What files and objects hold."""

    def __init__(self, sources: Sequence[str], endpoint_url: str = "") -> None:
        """Read everything.

        Args:
            sources: paths, and URLs such as `s3://bucket/prefix`.
            endpoint_url: of the service that has the buckets, "" for AWS's.

        Raises:
            AuditError: something cannot be read.
        """
        super().__init__(", ".join(sources))
        self._unreadable: list[Finding] = []
        self._paths: list[str] = []
        self._seen: set[int] = set()
        with ExitStack() as stack:
            self._work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="audit-")))
            self._take(read_sources(sources, endpoint_url))
            self._opened = stack.pop_all()

    def _take(self, files: Iterable[SourceFile]) -> None:
        rows: list[DecisionRow] = []
        for file in files:
            try:
                for number, entry in enumerate(entries_of(file), start=1):
                    self._take_entry(file, number, entry, rows)
            except RequestError as exc:
                self._cannot_read(file, str(exc))
            if len(rows) >= _ROWS_A_FILE:
                self._write(rows)
        self._write(rows)

    def _take_entry(
        self, file: SourceFile, number: int, entry: bytes, rows: list[DecisionRow]
    ) -> None:
        try:
            row = extract_row(entry, file.name)
        except AuditError as exc:
            self._cannot_read(file, f"entry {number}: {exc}")
            return
        # 64 bits of a hash that others cannot foresee: eight bytes an entry, not its text.
        known = hash(row.event)
        if known not in self._seen:
            self._seen.add(known)
            rows.append(row)

    def _cannot_read(self, file: SourceFile, why: str) -> None:
        detail = f"{file.name}: {why}"
        self._unreadable.append(
            Finding(Kind.UNREADABLE, None, None, None, None, file.modified_at, detail)
        )

    def _write(self, rows: list[DecisionRow]) -> None:
        path = self._work / f"{len(self._paths)}.parquet"
        with self._own_errors("read"):
            pq.write_table(to_arrow(rows, SCHEMA.as_arrow()), path)
        self._paths.append(str(path))
        rows.clear()

    def _files(self, condition: BooleanExpression) -> list[str]:
        del condition
        return self._paths

    def _schema(self) -> Schema:
        return SCHEMA

    @property
    def unreadable(self) -> Sequence[Finding]:
        """What in it is no entry."""
        return self._unreadable

    def close(self) -> None:
        """Delete the copy."""
        self._opened.close()
