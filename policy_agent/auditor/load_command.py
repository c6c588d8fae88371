"""`policy-agent audit load`: store events from files, so that they can be asked and verified.

Reads what the sinks `s3`, `firehose` and `file` write (copied from the bucket), OPA's upload bodies
and console lines, gzipped or not. What is in the store already is not stored again.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from policy_agent.auditor.body import gunzip
from policy_agent.auditor.extra import require_audit_extra
from policy_agent.codec import decode_json, encode_json
from policy_agent.errors import AuditError, DocumentError, RequestError

if TYPE_CHECKING:
    from policy_agent.auditor.collector import Collector, Stats

_GZIP_MAGIC: Final = b"\x1f\x8b"
_MOST_TEXT_BYTES: Final = 8 << 20  # of one body
_CONSOLE_MESSAGE: Final = "Decision Log"
_CONSOLE_KEYS: Final = ("level", "msg", "time", "type")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--dir", type=Path, required=True, help="directory of the store")
    parser.add_argument("files", type=Path, nargs="+", help="files, and directories of such")


def main(arguments: argparse.Namespace) -> int:
    """Load the files and say what became of their events.

    Raises:
        AuditError: a file cannot be read, or the store is in use or at fault.
    """
    require_audit_extra()
    from policy_agent.auditor.collector import Collector

    collector = Collector(arguments.dir, commit_seconds=0)
    try:
        stats = asyncio.run(_load(collector, list(_files_of(arguments.files))))
    finally:
        collector.close()
    print(
        f"stored={stats.stored} closings={stats.closings} duplicates={stats.duplicates}"
        f" quarantined={stats.quarantined}"
    )
    if stats.pending:
        raise AuditError(f"{stats.pending} events are not in the store yet; run this again")
    return 0


async def _load(collector: Collector, files: list[Path]) -> Stats:
    storing = asyncio.create_task(collector.run())
    try:
        for path in files:
            for body in bodies_of(path):
                await collector.accept(body, is_gzip=False)
    except RequestError as exc:
        raise AuditError(f"{path}: {exc}") from exc
    finally:
        collector.stop()
        await storing
    return collector.stats()


def bodies_of(path: Path) -> Iterator[bytes]:
    """Yield a file's events as JSON arrays of bearable size.

    Raises:
        AuditError: it cannot be read.
        RequestError: it holds something else.
    """
    try:
        raw = path.read_bytes()
    except OSError as exc:
        raise AuditError(f"{path}: cannot be read: {exc.strerror}") from exc
    text = gunzip(raw) if raw.startswith(_GZIP_MAGIC) else raw
    if text.lstrip()[:1] == b"[":
        yield text
        return
    events: list[bytes] = []
    size_bytes = 0
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            event = decode_json(line)
        except DocumentError as exc:
            raise RequestError(f"line {number} is not JSON: {exc}") from exc
        events.append(_as_recorded(event, line))
        size_bytes += len(line)
        if size_bytes >= _MOST_TEXT_BYTES:
            yield _array_of(events)
            events, size_bytes = [], 0
    if events:
        yield _array_of(events)


def _as_recorded(event: Any, line: bytes) -> bytes:
    """Return the event in a line, without what the console puts around it."""
    if not isinstance(event, dict) or event.get("msg") != _CONSOLE_MESSAGE:
        return line
    return encode_json({name: value for name, value in event.items() if name not in _CONSOLE_KEYS})


def _array_of(events: list[bytes]) -> bytes:
    return b"[" + b",".join(events) + b"]"


def _files_of(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(each for each in path.rglob("*") if each.is_file())
        else:
            yield path
