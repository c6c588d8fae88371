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

from policy_agent.decision_log.counters import Counters
from policy_agent.decision_log.record import Record, frame
from policy_agent.decision_log.segment import ASIDE_SUFFIXES, OFFSET_SUFFIX, SUFFIX, Segment
from policy_agent.errors import DecisionLogError

log = logging.getLogger(__name__)

DEFAULT_LIMIT_BYTES = 256 << 20  # half of the smallest /tmp that Lambda gives
# A long backlog frees its disk space segment by segment, not only at its end; but each holds a
# file descriptor, of which a Lambda environment has 1024 for all its processes.
SEGMENT_BYTES = 8 << 20
MOST_OWN_SEGMENTS = 32
MOST_CLOSED_SEGMENTS = 64


class Spool:
    """First in, first out, on disk, bounded by `limit_bytes`; refuses when full, never drops."""

    def __init__(
        self,
        directory: Path,
        *,
        limit_bytes: int = DEFAULT_LIMIT_BYTES,
        counters: Counters | None = None,
    ) -> None:
        self._directory = directory
        self._limit_bytes = limit_bytes
        self._segment_bytes = max(SEGMENT_BYTES, limit_bytes // MOST_OWN_SEGMENTS)
        self._counters = counters or Counters()
        self._live: Segment | None = None
        self._closed: list[Segment] = []
        self._aside_bytes = 0
        self.adopt()

    @property
    def backlog_events(self) -> int:
        """How many events wait to be shipped."""
        return sum(segment.pending_events for segment in self._segments())

    @property
    def size_bytes(self) -> int:
        """How much disk our segments take, with what was set aside up to the last `adopt`."""
        return self._aside_bytes + sum(segment.size_bytes for segment in self._segments())

    def append(self, event: bytes) -> None:
        """Store one event; when this returns, it survives the end of the process.

        Args:
            event: one JSON object without a line feed.

        Raises:
            DecisionLogError: the spool is full or the disk refuses; the event is not stored.
        """
        line = frame(event)
        if self.size_bytes + len(line) > self._limit_bytes:
            msg = "decision log spool is full"
            raise DecisionLogError(msg)
        live = self._live
        if live is None or live.size_bytes >= self._segment_bytes:
            self.rotate()
            live = self._live = self._create()
        try:
            live.append(line)
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
        """
        while self._closed:
            yield self._closed[0]
        self.rotate()
        if self._closed:
            yield self._closed[0]

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
        for segment in self._segments():
            segment.close()
        self._live = None
        self._closed = []

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
