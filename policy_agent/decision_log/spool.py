"""Keep encoded events on disk from before the answer is sent until the receiver has them.

A directory of `segment`s: one live one that is appended to, and closed ones that wait for the
shipper. Events outlive this process; every segment that no living process has locked is adopted
and shipped by whoever shares the directory. Not thread-safe: one event loop uses it.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from policy_agent.config.decision_logs import DEFAULT_SPOOL_BYTES
from policy_agent.decision_log.counters import Counters
from policy_agent.decision_log.record import Record, frame
from policy_agent.decision_log.segment import ASIDE_SUFFIXES, OFFSET_SUFFIX, SUFFIX, Segment
from policy_agent.errors import DecisionLogError, SpoolFullError

log = logging.getLogger(__name__)

# A long backlog frees its disk space segment by segment, not only at its end; but each holds a
# file descriptor, of which a Lambda environment has 1024 for all its processes.
SEGMENT_BYTES = 8 << 20
MOST_OWN_SEGMENTS = 32
LEAST_OWN_SEGMENTS = 8  # so that little is given up at once where the oldest are dropped
READ_BYTES = 1 << 20
MOST_CLOSED_SEGMENTS = 64
MOST_BUFFERED_BYTES = 64 << 10


class Spool:
    """First in, first out, on disk, bounded by `limit_bytes`.

    When full it refuses, unless told to drop the oldest events, which are then counted.
    """

    def __init__(
        self,
        directory: Path,
        *,
        limit_bytes: int = DEFAULT_SPOOL_BYTES,
        counters: Counters | None = None,
        is_buffered: bool = False,
        drops_oldest: bool = False,
    ) -> None:
        """Open the spool; what dead predecessors left is adopted at once.

        Args:
            is_buffered: what is appended may wait in memory until `write_out`.
            drops_oldest: make room for a new event by giving up the oldest segment.
        """
        self._directory = directory
        self._limit_bytes = limit_bytes
        self._segment_bytes = max(
            min(SEGMENT_BYTES, limit_bytes // LEAST_OWN_SEGMENTS), limit_bytes // MOST_OWN_SEGMENTS
        )
        self._counters = counters or Counters()
        self._is_buffered = is_buffered
        self._drops_oldest = drops_oldest
        self._buffer = bytearray()
        self._buffered_events = 0
        self._live: Segment | None = None
        self._closed: list[Segment] = []
        self._shipping: Segment | None = None
        self._aside_bytes = 0
        self.adopt()

    @property
    def backlog_events(self) -> int:
        """How many events wait to be shipped."""
        return self._buffered_events + sum(segment.pending_events for segment in self._segments())

    @property
    def size_bytes(self) -> int:
        """How much disk our segments take, with what was set aside up to the last `adopt`."""
        waiting_bytes = self._aside_bytes + len(self._buffer)
        if self._live is not None:
            waiting_bytes += self._live.size_bytes
        if self._closed:
            waiting_bytes += sum(segment.size_bytes for segment in self._closed)
        return waiting_bytes

    def append(self, event: bytes) -> None:
        """Store one event; when this returns, it survives the end of the process unless buffered.

        Args:
            event: one JSON object without a line feed.

        Raises:
            SpoolFullError: there is no room for it; it is not stored.
            DecisionLogError: the disk refuses; it is not stored.
        """
        line = frame(event)
        while self.size_bytes + len(line) > self._limit_bytes:
            if not self._drops_oldest or not self._drop_oldest():
                raise SpoolFullError("decision log spool is full")
        if not self._is_buffered:
            self._write(line, 1)
            return
        if len(self._buffer) + len(line) > MOST_BUFFERED_BYTES:
            self.write_out()
        self._buffer += line
        self._buffered_events += 1

    def write_out(self) -> None:
        """Write what is buffered.

        Raises:
            DecisionLogError: the disk refuses; it stays in the buffer.
        """
        if self._buffer:
            self._write(bytes(self._buffer), self._buffered_events)
            self._buffer.clear()
            self._buffered_events = 0

    def _write(self, lines: bytes, count: int) -> None:
        live = self._live
        if live is None or live.size_bytes >= self._segment_bytes:
            self.rotate()
            live = self._live = self._create()
        try:
            live.append(lines, count)
        except OSError as exc:
            # Cutting back may have failed too: nothing may follow what might be half a line.
            self.rotate()
            msg = f"{live.path}: cannot be written: {exc.strerror}"
            raise DecisionLogError(msg) from exc

    def rotate(self) -> None:
        """Close the live segment so that it can be shipped; without records it just goes away."""
        live, self._live = self._live, None
        if live is None:
            return
        self._closed.append(live)
        if not live.pending_events:
            self.remove(live)

    def adopt(self) -> None:
        """Take over what dead processes left; what living ones have locked is left alone."""
        try:
            names = sorted(os.listdir(self._directory))
        except FileNotFoundError:
            return
        except OSError as exc:
            log.warning("%s: cannot be searched: %s", self._directory, exc.strerror)
            return
        ours = {segment.path.name for segment in self._segments()}
        self._aside_bytes = 0
        for name in names:
            if name not in ours:
                try:
                    self._visit(self._directory / name)
                except OSError as exc:
                    log.warning("%s: left alone: %s", name, exc.strerror)
        self._closed.sort(key=lambda segment: segment.path.name)

    def shippable(self) -> Iterator[Segment]:
        """Yield closed segments, oldest first, then the live one, each until it is removed.

        The live one is only closed when its turn comes, so that many attempts at a dead receiver
        do not make many segments; what is appended meanwhile waits for the next time.

        Raises:
            DecisionLogError: what is buffered cannot be written.
        """
        try:
            while self._closed:
                self._shipping = self._closed[0]
                yield self._shipping
            self.write_out()
            self.rotate()
            if self._closed:
                self._shipping = self._closed[0]
                yield self._shipping
        finally:
            self._shipping = None

    def pending(self) -> Iterator[bytes]:
        """Yield every event that waits, oldest first; nothing moves.

        Raises:
            DecisionLogError: they cannot be read, or what is buffered cannot be written.
        """
        self.write_out()
        for segment in list(self._segments()):
            yield from segment.pending(READ_BYTES)

    def advance(self, segment: Segment, records: Sequence[Record]) -> None:
        """Note that the first records of what `segment.read` returned need no more shipping.

        Raises:
            DecisionLogError: damaged lines could not be set aside; nothing has been noted.
        """
        self._counters.corrupt_set_aside += segment.advance(records)

    def reject(self, segment: Segment, record: Record) -> None:
        """Set aside a record that the receiver refuses; `advance` over it afterwards.

        Raises:
            DecisionLogError: it could not be written.
        """
        segment.reject(record)
        self._counters.rejected_set_aside += 1

    def remove(self, segment: Segment) -> None:
        """Delete a segment of which nothing is left to ship.

        Raises:
            DecisionLogError: its damaged lines could not be set aside; it stays.
        """
        self._counters.corrupt_set_aside += segment.finish()
        self._closed.remove(segment)
        segment.close()

    def close(self) -> None:
        """Release every lock; what has not been shipped is the successor's."""
        try:
            self.write_out()
        except DecisionLogError as exc:
            log.error("%s; %d entries are lost", exc, self._buffered_events)
        for segment in self._segments():
            segment.close()
        self._live = None
        self._closed = []

    def _drop_oldest(self) -> bool:
        """Give up the oldest segment that is not being shipped; False when there is none."""
        if not (droppable := self._droppable()):
            self.rotate()
            droppable = self._droppable()
        if not droppable:
            return False
        oldest = droppable[0]
        self._counters.dropped_oldest += oldest.pending_events
        log.warning("%s: dropped with %d entries", oldest.path.name, oldest.pending_events)
        self.remove(oldest)
        return True

    def _droppable(self) -> list[Segment]:
        return [segment for segment in self._closed if segment is not self._shipping]

    def _segments(self) -> list[Segment]:
        return [*self._closed, self._live] if self._live else self._closed

    def _create(self) -> Segment:
        segment = None
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            while segment is None:
                name = f"{time.time_ns():020d}-{os.getpid()}-{os.urandom(4).hex()}{SUFFIX}"
                segment = Segment.create(self._directory / name)
        except OSError as exc:
            msg = f"{self._directory}: cannot hold the decision log: {exc.strerror}"
            raise DecisionLogError(msg) from exc
        return segment

    def _visit(self, path: Path) -> None:
        if path.suffix == SUFFIX and len(self._closed) < MOST_CLOSED_SEGMENTS:
            if segment := Segment.adopt(path):
                self._closed.append(segment)
        elif path.suffix == OFFSET_SUFFIX and not path.with_suffix("").exists():
            path.unlink(missing_ok=True)
        elif path.suffix in ASIDE_SUFFIXES:
            self._aside_bytes += path.stat().st_size
