"""`policy-agent audit verify`: prove that no decision is missing and none was changed."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from policy_agent.auditor.extra import require_audit_extra
from policy_agent.auditor.key_files import add_key_files, read_key_files
from policy_agent.auditor.opening import add_arguments, open_reader
from policy_agent.codec import encode_json, indent_json

if TYPE_CHECKING:
    from policy_agent.auditor.finding import Finding
    from policy_agent.auditor.verify import Verification

_MOMENT = "RFC 3339 time, or how long ago: 15m, 24h, 7d"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_arguments(parser)
    add_key_files(parser)
    parser.add_argument(
        "--since", metavar="WHEN", help=f"only streams with anything from then on ({_MOMENT})"
    )
    parser.add_argument("--until", metavar="WHEN", help="only streams with anything before then")
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="default %(default)s"
    )


def main(arguments: argparse.Namespace) -> int:
    """Print what is wrong; 0 when nothing is, else 1.

    Raises:
        AuditError: there is nothing to read, or an argument makes no sense.
    """
    require_audit_extra()
    from policy_agent.auditor.filters import parse_moment
    from policy_agent.auditor.heads import read_dropped, read_heads
    from policy_agent.auditor.verify import Verification, Window

    now = datetime.now(UTC)
    window = Window(
        since=parse_moment(arguments.since, now) if arguments.since else None,
        until=parse_moment(arguments.until, now) if arguments.until else None,
    )
    keys = read_key_files(arguments)
    verification = Verification(keys, window)
    show = _show_json if arguments.format == "json" else _show_text
    with open_reader(arguments) as reader:
        # Before its rows: what arrives from now on must not look as if it were missing.
        heads = read_heads(arguments.dir) if arguments.dir else []
        dropped = read_dropped(arguments.dir) if arguments.dir else {}
        chosen = [head for head in heads if window.overlaps(head.first_at, head.last_at)]
        rows = reader.streams(window.since, window.until, [head.instance for head in chosen])
        unnumbered = reader.unnumbered(window.since, window.until)
        found = verification.run(rows, heads, unnumbered, reader.unreadable, dropped)
        show(found, verification)
    return 1 if verification.summary.findings else 0


def _show_text(findings: Iterable[Finding], verification: Verification) -> None:
    from policy_agent.auditor.finding import as_text

    for finding in findings:
        print(as_text(finding))
    summary = verification.summary
    print(" ".join(f"{name}={getattr(summary, name)}" for name in summary.__slots__))


def _show_json(findings: Iterable[Finding], verification: Verification) -> None:
    found = list(findings)
    body = {"findings": found, "summary": verification.summary}
    print(indent_json(encode_json(body)).decode())
