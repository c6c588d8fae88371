"""The spool's line format: `crc32 as 8 hex digits, space, JSON, line feed`.

Pure. The checksum tells a record that a crash or a bad disk has cut from a whole one.
"""

from __future__ import annotations

from io import BytesIO
from typing import NamedTuple
from zlib import crc32

_PREFIX_BYTES = 9


class Record(NamedTuple):
    """One event of a segment; the next one starts at byte `end`."""

    event: bytes
    end: int


class Damaged(NamedTuple):
    """A line that is not a record, as found."""

    line: bytes
    end: int


def frame(event: bytes) -> bytes:
    """Return the line of one event, which must not hold a line feed."""
    return b"%08x %b\n" % (crc32(event), event)


def parse_lines(raw: bytes, start: int) -> tuple[list[Record], list[Damaged]]:
    """Split a piece of a segment into records and damaged lines.

    Args:
        raw: whole lines; the last may lack its line feed, which makes it damaged.
        start: the piece's position in the segment.
    """
    records: list[Record] = []
    damaged: list[Damaged] = []
    end = start
    for line in BytesIO(raw):
        end += len(line)
        event = line[_PREFIX_BYTES:-1]
        if line == frame(event):
            records.append(Record(event, end))
        else:
            damaged.append(Damaged(line, end))
    return records, damaged
