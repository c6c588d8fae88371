"""One file of the spool: lines of `record`, locked by the process that writes or ships it.

`<segment>.offset` holds how many bytes the receiver has accepted and where the batch under way
ends, so that a successor goes on from there and sends the same batch again; `<segment>.corrupt` and
`<segment>.rejected` take the lines that cannot be shipped. A `.rejected` file holds whole records:
renamed to end in `.log`, it is shipped again.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from policy_agent.decision_log.record import Damaged, Record, frame, parse_lines
from policy_agent.errors import DecisionLogError

log = logging.getLogger(__name__)

SUFFIX = ".log"
OFFSET_SUFFIX = ".offset"
ASIDE_SUFFIXES = (".corrupt", ".rejected")
_SAFE_FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FLAGS = os.O_RDWR | os.O_APPEND | _SAFE_FLAGS
_COUNT_BYTES = 1 << 20


class Segment:
    """A segment that this process has locked; `close` gives the lock up.

    Attributes:
        path: where it is; names sort by creation.
        size_bytes: of the whole records appended so far.
        shipped_bytes: how far the receiver has accepted it.
        batch_end: where the batch ends that was last begun, 0 when it has been accepted.
        pending_events: lines after that position.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._damaged: list[Damaged] = []
        self.size_bytes = os.fstat(descriptor).st_size
        self.shipped_bytes, self.batch_end = self._saved_offsets()
        self.pending_events = self._count_lines()

    @classmethod
    def create(cls, path: Path) -> Segment | None:
        """Make a new segment; None when another process took it for a dead one's and locked it.

        Raises:
            OSError: it cannot be made.
        """
        return cls._locked(path, os.open(path, _OPEN_FLAGS | os.O_CREAT | os.O_EXCL, 0o600))

    @classmethod
    def adopt(cls, path: Path) -> Segment | None:
        """Take over a segment; None when its owner is alive or has just finished it.

        Raises:
            OSError: it cannot be read.
        """
        try:
            return cls._locked(path, os.open(path, _OPEN_FLAGS))
        except FileNotFoundError:
            return None

    @classmethod
    def _locked(cls, path: Path, descriptor: int) -> Segment | None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Between open and lock the owner may have shipped and deleted it.
            if os.fstat(descriptor).st_nlink:
                return cls(path, descriptor)
        except BlockingIOError:
            pass
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None

    def append(self, lines: bytes, count: int = 1) -> None:
        """Write whole lines with a single `write`, or more where the kernel takes it in parts.

        Raises:
            OSError: it could not be written whole; the file is cut back to whole records.
        """
        try:
            written = os.write(self._descriptor, lines)
            while written < len(lines):
                written += os.write(self._descriptor, lines[written:])
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self.size_bytes)
            raise
        self.size_bytes += len(lines)
        self.pending_events += count

    def read(self, most_bytes: int) -> list[Record]:
        """Return records after the shipped position, [] when there is none left.

        Args:
            most_bytes: how much of the file to read; more when one line is longer.

        Raises:
            DecisionLogError: the file cannot be read.
        """
        records: list[Record] = []
        self._damaged = []
        at = self.shipped_bytes
        while not records and (raw := self._read_lines(at, most_bytes)):
            records, damaged = parse_lines(raw, at)
            self._damaged += damaged
            at += len(raw)
        return records

    def begin(self, end: int) -> str:
        """Note that a batch up to byte `end` is sent next, and return its id."""
        if end != self.batch_end:
            self.batch_end = end
            self._save_offsets()
        return f"{self.path.stem}-{self.shipped_bytes}-{end}"

    def advance(self, records: Sequence[Record]) -> int:
        """Note that the first records of what `read` returned need no more shipping.

        Returns:
            How many damaged lines before their end were set aside.

        Raises:
            DecisionLogError: damaged lines could not be set aside; nothing has been noted.
        """
        end = records[-1].end
        aside = self._set_damaged_aside(end)
        self.shipped_bytes, self.batch_end = end, 0
        self.pending_events -= len(records) + aside
        self._save_offsets()
        return aside

    def pending(self, most_bytes: int) -> Iterator[bytes]:
        """Yield the events after the shipped position; nothing moves.

        Raises:
            DecisionLogError: the file cannot be read.
        """
        at = self.shipped_bytes
        while raw := self._read_lines(at, most_bytes):
            records, _ = parse_lines(raw, at)
            yield from (record.event for record in records)
            at += len(raw)

    def reject(self, record: Record) -> None:
        """Keep a record that the receiver refuses in `<segment>.rejected`.

        Raises:
            DecisionLogError: it could not be written.
        """
        self._set_aside(".rejected", [frame(record.event)])

    def finish(self) -> int:
        """Delete the file once `read` has returned []; `close` is still to be called.

        Returns:
            How many damaged lines at its end were set aside.

        Raises:
            DecisionLogError: they could not be set aside; the file is still there.
        """
        aside = self._set_damaged_aside(self.size_bytes)
        self.pending_events = 0
        try:
            self.path.unlink()
            self._beside(OFFSET_SUFFIX).unlink(missing_ok=True)
        except OSError as exc:
            log.warning("%s: shipped, but cannot be deleted: %s", self.path, exc.strerror)
        return aside

    def close(self) -> None:
        """Release the lock; whoever comes next may take the segment over."""
        os.close(self._descriptor)

    def _read_lines(self, at: int, most_bytes: int) -> bytes:
        while True:
            try:
                raw = os.pread(self._descriptor, most_bytes, at)
            except OSError as exc:
                msg = f"{self.path}: cannot be read: {exc.strerror}"
                raise DecisionLogError(msg) from exc
            if len(raw) < most_bytes:
                return raw
            if end := raw.rfind(b"\n") + 1:
                return raw[:end]
            most_bytes *= 2

    def _count_lines(self) -> int:
        count, at = 0, self.shipped_bytes
        while raw := os.pread(self._descriptor, _COUNT_BYTES, at):
            count += raw.count(b"\n")
            at += len(raw)
        return count

    def _set_damaged_aside(self, end: int) -> int:
        aside = [damaged for damaged in self._damaged if damaged.end <= end]
        if aside:
            self._set_aside(".corrupt", [damaged.line for damaged in aside])
            self._damaged = self._damaged[len(aside) :]
        return len(aside)

    def _set_aside(self, suffix: str, lines: Iterable[bytes]) -> None:
        raw = b"".join(line if line.endswith(b"\n") else line + b"\n" for line in lines)
        path = self._beside(suffix)
        try:
            descriptor = os.open(path, _OPEN_FLAGS | os.O_CREAT, 0o600)
            with open(descriptor, "ab") as file:
                file.write(raw)
        except OSError as exc:
            msg = f"{path}: cannot be written: {exc.strerror}"
            raise DecisionLogError(msg) from exc

    def _saved_offsets(self) -> tuple[int, int]:
        try:
            shipped, batch_end = map(int, self._beside(OFFSET_SUFFIX).read_bytes().split())
        except (OSError, ValueError):
            return 0, 0
        shipped = shipped if self._is_after_line(shipped) else 0
        return shipped, batch_end if shipped < batch_end and self._is_after_line(batch_end) else 0

    def _is_after_line(self, offset: int) -> bool:
        return 0 < offset <= self.size_bytes and (
            os.pread(self._descriptor, 1, offset - 1) == b"\n"
        )

    def _save_offsets(self) -> None:
        path = self._beside(OFFSET_SUFFIX)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | _SAFE_FLAGS, 0o600)
            try:
                # One write of fixed length: a successor finds the old numbers or the new ones.
                os.pwrite(descriptor, b"%020d %020d" % (self.shipped_bytes, self.batch_end), 0)
            finally:
                os.close(descriptor)
        except OSError as exc:
            # A full disk must not keep us from shipping, which is what empties it.
            log.warning("%s: cannot be written: %s", path, exc.strerror)

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)
