"""`policy-agent audit anomalies`: say what is unusual about recent decisions."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from policy_agent.auditor.anomalies import Anomaly, find_anomalies
from policy_agent.auditor.extra import require_audit_extra
from policy_agent.codec import encode_json
from policy_agent.errors import AuditError

_MOMENT = "RFC 3339 time, or how long ago: 15m, 24h, 7d"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--dir", type=Path, required=True, help="directory of `audit serve`")
    parser.add_argument(
        "--since", default="1h", metavar="WHEN", help=f"what is recent ({_MOMENT}; default 1h)"
    )
    parser.add_argument(
        "--baseline", default="7d", metavar="WHEN", help="since when to compare (default 7d)"
    )
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="default %(default)s"
    )


def main(arguments: argparse.Namespace) -> int:
    """Print what is unusual; the status is 1 when anything is.

    Raises:
        AuditError: there is no store, or an argument makes no sense.
    """
    require_audit_extra()
    from policy_agent.auditor.filters import parse_moment
    from policy_agent.auditor.store import AuditStore

    now = datetime.now(UTC)
    since, start = parse_moment(arguments.since, now), parse_moment(arguments.baseline, now)
    if not start < since < now:
        raise AuditError("--baseline must be before --since, and both before now")
    with AuditStore(arguments.dir) as store:
        baseline, recent = store.tallies(start, since), store.tallies(since, now)
    share = (now - since) / (since - start)
    found = find_anomalies(baseline, recent, share=share)
    if arguments.format == "json":
        print(encode_json([_facts_of(anomaly) for anomaly in found]).decode())
    else:
        for anomaly in found:
            print(_sentence_of(anomaly))
    return int(bool(found))


def _facts_of(anomaly: Anomaly) -> dict[str, str | int | float]:
    return {name: getattr(anomaly, name) for name in anomaly.__slots__}


def _sentence_of(anomaly: Anomaly) -> str:
    # Escaped: names come from the callers of functions.
    name = encode_json(anomaly.name).decode()
    if anomaly.kind == "silence":
        told = f"{anomaly.observed} decisions where {anomaly.expected:g} were to be expected"
    else:
        told = f"{anomaly.observed} of {anomaly.out_of} denied, {anomaly.expected:g} expected"
    chance = f" (p = {anomaly.probability:.0e})" if anomaly.probability else ""
    return f"{anomaly.kind:12}{anomaly.of} {name}: {told}{chance}"
