"""`policy-agent audit compact`: rewrite the store's many small files as few large ones."""

from __future__ import annotations

import argparse
from pathlib import Path

from policy_agent.auditor.extra import require_audit_extra


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--dir", type=Path, required=True, help="directory of `audit serve`")


def main(arguments: argparse.Namespace) -> int:
    """Compact, and say what became of the files; 1 when some could not be done.

    Raises:
        AuditError: there is no store, or it is at fault.
    """
    require_audit_extra()
    from policy_agent.auditor.store import AuditStore

    with AuditStore(arguments.dir) as store:
        done = store.compact()
        orphans = store.delete_orphans()
    print(
        f"files={done.before} became={done.after} rows={done.rows} busy={done.left}"
        f" orphans={orphans}"
    )
    return int(done.left > 0)
