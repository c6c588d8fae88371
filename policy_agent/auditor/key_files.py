"""The keys that entries were chained with, from the files that a command names."""

from __future__ import annotations

import argparse
from pathlib import Path

from policy_agent.audit_chain import ChainKey, read_key
from policy_agent.errors import AuditError


def add_key_files(parser: argparse.ArgumentParser) -> None:
    """Declare the argument that names the files."""
    parser.add_argument(
        "--audit-key-file",
        type=Path,
        action="append",
        default=[],
        help="file with the agents' audit_key; may be repeated, for keys of different times",
    )


def read_key_files(arguments: argparse.Namespace) -> list[ChainKey]:
    """Return the key in each file.

    Raises:
        AuditError: one cannot be read, or is empty.
    """
    return [_read(path) for path in arguments.audit_key_file]


def _read(path: Path) -> ChainKey:
    try:
        secret = read_key(path.read_bytes())
    except OSError as exc:
        raise AuditError(f"cannot read --audit-key-file {path}: {exc.strerror}") from exc
    if not secret:
        raise AuditError(f"--audit-key-file {path} is empty")
    return ChainKey(secret)
