"""`policy-agent audit verify`: prove that no decision is missing and none was changed."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from policy_agent.audit_chain import ChainKey, read_key
from policy_agent.auditor.extra import require_audit_extra
from policy_agent.auditor.opening import add_arguments, open_reader
from policy_agent.codec import encode_json, indent_json
from policy_agent.errors import AuditError

if TYPE_CHECKING:
    from policy_agent.auditor.finding import Finding
    from policy_agent.auditor.verify import Verification

_MOMENT = "RFC 3339 time, or how long ago: 15m, 24h, 7d"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_arguments(parser)
    parser.add_argument(
        "--audit-key-file",
        type=Path,
        action="append",
        default=[],
        help="file with the agents' audit_key; may be repeated, for keys of different times",
    )
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
    keys = [read_key_file(path) for path in arguments.audit_key_file]
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


def read_key_file(path: Path) -> ChainKey:
    """Return the key in a file.

    Raises:
        AuditError: it cannot be read, or is empty.
    """
    try:
        secret = read_key(path.read_bytes())
    except OSError as exc:
        raise AuditError(f"cannot read --audit-key-file {path}: {exc.strerror}") from exc
    if not secret:
        raise AuditError(f"--audit-key-file {path} is empty")
    return ChainKey(secret)
