"""`policy-agent audit expire`: drop old days, so that what is left can still be proven."""

from __future__ import annotations

import argparse
from datetime import UTC, date, datetime
from pathlib import Path

from policy_agent.auditor.extra import require_audit_extra
from policy_agent.errors import AuditError


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--dir", type=Path, required=True, help="directory of `audit serve`")
    parser.add_argument(
        "--before", required=True, metavar="DAY", help="the first day to keep, UTC: 2026-11-27"
    )


def main(arguments: argparse.Namespace) -> int:
    """Drop every day before the one given, and say how much that was.

    Raises:
        AuditError: the day is none or not in the past, or the store is at fault.
    """
    require_audit_extra()
    from policy_agent.auditor.store import AuditStore

    try:
        before = date.fromisoformat(arguments.before)
    except ValueError as exc:
        raise AuditError(f"--before {arguments.before!r} is no day such as 2026-11-27") from exc
    if before > datetime.now(UTC).date():
        raise AuditError("--before must not be in the future")
    with AuditStore(arguments.dir) as store:
        gone = store.expire(before)
    print(f"files={gone.files} rows={gone.rows} runs={gone.runs}")
    return 0
