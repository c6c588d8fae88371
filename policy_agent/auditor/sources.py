"""Read what the sinks have written: files, directories of such, objects of a bucket.

Each is what `s3`, `firehose` and `file` write, an upload of OPA's, or lines of the console, gzipped
or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from policy_agent.auditor.body import gunzip, split_entries
from policy_agent.codec import decode_json, encode_json
from policy_agent.errors import AuditError, DocumentError, RequestError

_GZIP_MAGIC: Final = b"\x1f\x8b"
_MOST_BYTES: Final = 1 << 30  # of one file when decompressed; Firehose gathers up to 128 MiB
_CONSOLE_MESSAGE: Final = "Decision Log"
_CONSOLE_KEYS: Final = ("level", "msg", "time", "type")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file or object.

    Attributes:
        name: path or URL.
        modified_at: when it was written.
        raw: its content.
    """

    name: str
    modified_at: datetime
    raw: bytes


def read_sources(sources: Sequence[str], endpoint_url: str = "") -> Iterator[SourceFile]:
    """Yield the files that sources name.

    Args:
        sources: paths, and URLs such as `s3://bucket/prefix`.
        endpoint_url: of the service that has the buckets, "" for AWS's.

    Raises:
        AuditError: one cannot be read.
    """
    from policy_agent.auditor.bucket import SCHEME, Bucket

    for source in sources:
        if source.startswith(SCHEME):
            root = SCHEME + source.removeprefix(SCHEME).partition("/")[0]
            for each, raw in Bucket(source, endpoint_url).contents():
                yield SourceFile(f"{root}/{each.key}", each.modified_at, raw)
        else:
            for path in _files_of(Path(source)):
                yield _read(path)


def entries_of(file: SourceFile) -> Iterator[bytes]:
    """Yield the entries of a file as they were recorded.

    Raises:
        RequestError: what comes next is no entry; nothing more can be had.
    """
    raw = file.raw
    text = gunzip(raw, _MOST_BYTES) if raw.startswith(_GZIP_MAGIC) else raw
    if text.lstrip()[:1] == b"[":
        yield from split_entries(text)
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            event = decode_json(line)
        except DocumentError as exc:
            raise RequestError(f"line {number} is not JSON: {exc}") from exc
        yield _as_recorded(event, line)


def _as_recorded(event: Any, line: bytes) -> bytes:
    """Return the event in a line, without what the console puts around it."""
    if not isinstance(event, dict) or event.get("msg") != _CONSOLE_MESSAGE:
        return line
    return encode_json({name: value for name, value in event.items() if name not in _CONSOLE_KEYS})


def _files_of(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(each for each in path.rglob("*") if each.is_file())
    else:
        yield path


def _read(path: Path) -> SourceFile:
    try:
        modified_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        return SourceFile(str(path), modified_at, path.read_bytes())
    except OSError as exc:
        raise AuditError(f"{path}: cannot be read: {exc.strerror}") from exc
