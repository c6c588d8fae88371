"""What may be asked of the store, and how that reads in SQL.

Pure. Every value is a bound parameter; only column names of our own are ever part of the SQL text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import msgspec

from policy_agent.auditor.row import ResultKind
from policy_agent.errors import AuditError

_DURATION = re.compile(r"(\d+)([smhdw])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_EQUAL_COLUMNS: Final = ("function", "subject", "path", "result", "decision_id")


@dataclass(frozen=True, slots=True)
class Filters:
    """Conditions that all must hold; None asks nothing.

    Attributes:
        since: aware, inclusive.
        until: aware, exclusive.
        path: as logged: `orders/authz/allow`.
        result: None is any decision; what is no decision only comes when it is asked for.
        revision: of any bundle, as `r1`, or of one, as `orders=r1`.
    """

    since: datetime | None = None
    until: datetime | None = None
    function: str | None = None
    subject: str | None = None
    path: str | None = None
    result: ResultKind | None = None
    revision: str | None = None
    decision_id: str | None = None

    def to_sql(self) -> tuple[str, dict[str, Any]]:
        """Return a DuckDB condition and its named parameters."""
        conditions = ["true"]
        parameters: dict[str, Any] = {}
        if self.since is not None:
            conditions.append('"timestamp" >= $since')
            parameters["since"] = self.since
        if self.until is not None:
            conditions.append('"timestamp" < $until')
            parameters["until"] = self.until
        for column in _EQUAL_COLUMNS:
            if (value := getattr(self, column)) is not None:
                conditions.append(f'"{column}" = ${column}')
                parameters[column] = str(value)
        if self.result is None:
            hidden = f"'{ResultKind.CLOSE}', '{ResultKind.FULFILMENT}'"
            conditions.append(f'"result" NOT IN ({hidden})')
        if self.revision is not None:
            conditions.append(
                "(list_contains(map_values(revisions), $revision) OR list_contains("
                "list_transform(map_entries(revisions), lambda e: e.key || '=' || e.value),"
                " $revision))"
            )
            parameters["revision"] = self.revision
        return " AND ".join(conditions), parameters


def parse_moment(text: str, now: datetime) -> datetime:
    """Read a point in time: RFC 3339 with a zone, or how long before `now`, as `15m`, `24h`, `7d`.

    Raises:
        AuditError: neither, or outside the years 1 to 9999.
    """
    try:
        if match := _DURATION.fullmatch(text):
            return now - timedelta(seconds=int(match[1]) * _SECONDS[match[2]])
        moment: datetime = msgspec.convert(text, Annotated[datetime, msgspec.Meta(tz=True)])
        return moment.astimezone(UTC)
    except OverflowError as exc:
        raise AuditError(f"{text!r} is outside the years 1 to 9999") from exc
    except msgspec.ValidationError as exc:
        msg = f"{text!r} is neither a time such as 2026-11-21T10:00:00Z nor a duration such as 24h"
        raise AuditError(msg) from exc
