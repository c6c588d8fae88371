"""`policy-agent audit query`: ask the store who was decided what."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

from policy_agent.auditor.extra import require_audit_extra
from policy_agent.auditor.opening import add_arguments, open_reader
from policy_agent.errors import AuditError

_RESULTS = ("allow", "deny", "error", "undefined", "other", "fulfilment", "close")
_MOMENT = "RFC 3339 time, or how long ago: 15m, 24h, 7d"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_arguments(parser)
    parser.add_argument("--since", metavar="WHEN", help=f"not before this ({_MOMENT})")
    parser.add_argument("--until", metavar="WHEN", help="before this")
    parser.add_argument("--function", help="label `function`, `function_name` or `app`")
    parser.add_argument("--subject", help="who asked, such as input.identity.sub or input.user")
    parser.add_argument("--path", help="policy path: orders/authz/allow")
    parser.add_argument(
        "--result",
        choices=_RESULTS,
        help="what it came to; fulfilment and close show records that are no decisions",
    )
    parser.add_argument("--revision", help="bundle revision: r1, or orders=r1 for one bundle")
    parser.add_argument("--decision-id", help="one decision")
    parser.add_argument(
        "--limit", type=int, default=100, help="at most so many, newest first (default %(default)s)"
    )
    parser.add_argument(
        "--format", choices=("table", "json", "csv"), default="table", help="default %(default)s"
    )
    parser.add_argument("--count", action="store_true", help="print only how many there are")


def main(arguments: argparse.Namespace) -> int:
    """Print the decisions that meet all filters.

    Raises:
        AuditError: there is nothing to read, or an argument makes no sense.
    """
    require_audit_extra()
    from policy_agent.auditor.filters import Filters, parse_moment
    from policy_agent.auditor.render import FORMATS
    from policy_agent.auditor.row import ResultKind

    if arguments.limit < 1:
        raise AuditError("--limit must be at least 1")
    now = datetime.now(UTC)
    filters = Filters(
        since=parse_moment(arguments.since, now) if arguments.since else None,
        until=parse_moment(arguments.until, now) if arguments.until else None,
        function=arguments.function,
        subject=arguments.subject,
        path=arguments.path.lstrip("/") if arguments.path else None,
        result=ResultKind(arguments.result) if arguments.result else None,
        revision=arguments.revision,
        decision_id=arguments.decision_id,
    )
    with open_reader(arguments) as reader:
        if arguments.count:
            print(reader.count(filters))
        else:
            rows = reader.query(filters, limit=arguments.limit)
            print(FORMATS[arguments.format](rows), end="")
        if unreadable := len(reader.unreadable):
            print(f"warning: {unreadable} files or entries are no decisions", file=sys.stderr)
    return 0
