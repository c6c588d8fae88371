"""`policy-agent audit load`: store events from files, so that they can be asked and verified.

What is in the store already is not stored again.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from policy_agent.auditor.extra import require_audit_extra
from policy_agent.auditor.opening import SOURCES_HELP, add_endpoint
from policy_agent.auditor.sources import SourceFile, entries_of, read_sources
from policy_agent.errors import AuditError, RequestError

if TYPE_CHECKING:
    from policy_agent.auditor.collector import Collector, Stats

_MOST_TEXT_BYTES: Final = 8 << 20  # of one body


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--dir", type=Path, required=True, help="directory of the store")
    parser.add_argument("sources", nargs="+", help=SOURCES_HELP)
    add_endpoint(parser)


def main(arguments: argparse.Namespace) -> int:
    """Load the files and say what became of their events.

    Raises:
        AuditError: a file cannot be read, or the store is in use or at fault.
    """
    require_audit_extra()
    from policy_agent.auditor.collector import Collector

    collector = Collector(arguments.dir, commit_seconds=0)
    try:
        files = read_sources(arguments.sources, arguments.endpoint_url)
        stats = asyncio.run(_load(collector, files))
    finally:
        collector.close()
    print(
        f"stored={stats.stored} closings={stats.closings} duplicates={stats.duplicates}"
        f" quarantined={stats.quarantined}"
    )
    if stats.pending:
        raise AuditError(f"{stats.pending} events are not in the store yet; run this again")
    return 0


async def _load(collector: Collector, files: Iterator[SourceFile]) -> Stats:
    storing = asyncio.create_task(collector.run())
    try:
        # In a thread: reading may wait for a network, and runs a loop of its own for it.
        while (file := await asyncio.to_thread(next, files, None)) is not None:
            try:
                for body in _bodies_of(file):
                    await collector.accept(body, is_gzip=False)
            except RequestError as exc:
                raise AuditError(f"{file.name}: {exc}") from exc
    finally:
        collector.stop()
        await storing
    return collector.stats()


def _bodies_of(file: SourceFile) -> Iterator[bytes]:
    """Yield a file's events as JSON arrays of bearable size.

    Raises:
        RequestError: it holds something else.
    """
    events: list[bytes] = []
    size_bytes = 0
    for event in entries_of(file):
        events.append(event)
        size_bytes += len(event)
        if size_bytes >= _MOST_TEXT_BYTES:
            yield _array_of(events)
            events, size_bytes = [], 0
    if events:
        yield _array_of(events)


def _array_of(events: list[bytes]) -> bytes:
    return b"[" + b",".join(events) + b"]"
