"""Open what an audit command is to read: the store, or what the sinks have written."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from policy_agent.auditor.extra import require_audit_extra
from policy_agent.errors import AuditError

if TYPE_CHECKING:
    from policy_agent.auditor.reader import Reader

SOURCES_HELP: Final = "files, directories of such, and s3://bucket/prefix"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments that say what to read."""
    parser.add_argument("--dir", type=Path, help="directory of `audit serve`")
    parser.add_argument(
        "sources", nargs="*", help=f"instead of --dir, what sinks have written: {SOURCES_HELP}"
    )
    add_endpoint(parser)


def add_endpoint(parser: argparse.ArgumentParser) -> None:
    """Declare the argument that says where buckets are."""
    parser.add_argument(
        "--endpoint-url",
        default="",
        help="of the service that has the buckets (default AWS_ENDPOINT_URL_S3, else AWS's)",
    )


def open_reader(arguments: argparse.Namespace) -> Reader:
    """Return what the arguments name, to be closed.

    Raises:
        AuditError: they name nothing or both, or it cannot be read.
    """
    require_audit_extra()
    from policy_agent.auditor.collector import SPOOL
    from policy_agent.auditor.loose import LooseEntries
    from policy_agent.auditor.spool import list_spool
    from policy_agent.auditor.store import AuditStore

    if bool(arguments.dir) == bool(arguments.sources):
        raise AuditError("give either --dir or what to read")
    if arguments.sources:
        return LooseEntries(arguments.sources, arguments.endpoint_url)
    store = AuditStore(arguments.dir)
    if pending := len(list_spool(arguments.dir / SPOOL)):
        sys.stderr.write(f"warning: {pending} received bodies are not yet in the store\n")
    return store
