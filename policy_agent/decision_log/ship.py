"""Send what the spool holds, oldest first, one batch in flight, until all is sent or time is up.

The position only moves after the receiver has accepted: a cancelled or killed flush loses nothing
and at worst sends one batch twice. What the receiver refuses for its content (413, 400, 422) is
narrowed down to the single event, replaced by a stub and set aside, so that it never blocks what
is behind it; any other failure stops the flush and starts the back-off.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from msgspec import Struct

from policy_agent.audit_chain import ChainKey
from policy_agent.decision_log.backoff import Backoff, Moment
from policy_agent.decision_log.batch import Batch, Sink
from policy_agent.decision_log.chunk import make_stub, pack, pack_alone
from policy_agent.decision_log.counters import Counters
from policy_agent.decision_log.event import timestamp_of
from policy_agent.decision_log.record import Record
from policy_agent.decision_log.segment import Segment
from policy_agent.decision_log.spool import Spool
from policy_agent.errors import DecisionLogError, ShipError

READ_BYTES = 1 << 20
MOST_EVENTS = 1 << 20
LATE_SECONDS = 60
# A receiver that refuses even stubs is likely at fault itself and must not get the whole log set
# aside; going on a little all the same keeps a few bad events from blocking the rest for ever.
MOST_REFUSED_STUBS = 3


class FlushReport(Struct, frozen=True):
    """What a flush achieved.

    Attributes:
        shipped: events that the receiver accepted.
        left: events that are still in the spool.
        error: why it stopped; None when all was sent or the time was up, and when another flush
            was under way.
    """

    shipped: int
    left: int
    error: DecisionLogError | None = None


class Shipper:
    """Moves events from a spool to a sink."""

    def __init__(
        self,
        spool: Spool,
        sink: Sink,
        upload_limit_bytes: int,
        *,
        max_delay_seconds: float = 600,
        counters: Counters | None = None,
        key: ChainKey | None = None,
    ) -> None:
        self._spool = spool
        self._sink = sink
        self._limit_bytes = min(upload_limit_bytes, sink.limit_bytes)
        self._backoff = Backoff(max_delay_seconds)
        self._counters = counters or Counters()
        self._key = key or ChainKey()
        self._busy = asyncio.Lock()
        self._most_events = MOST_EVENTS
        self._refused_stubs = 0
        self.error: DecisionLogError | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a flush is under way."""
        return self._busy.locked()

    async def flush(self, budget_seconds: float, *, force: bool = False) -> FlushReport:
        """Ship what was in the spool when this was called.

        Args:
            budget_seconds: when to stop, whatever is left.
            force: try although the back-off says to wait, and wait for a flush under way: this is
                the last chance (SHUTDOWN).
        """
        deadline = time.monotonic() + budget_seconds
        before = self._counters.shipped
        if not force and self._busy.locked():
            return FlushReport(0, self._spool.backlog_events)
        if not force and not self._backoff.is_due(_now()):
            return FlushReport(0, self._spool.backlog_events, self.error)
        try:
            async with asyncio.timeout(budget_seconds):
                await self._busy.acquire()
        except TimeoutError:
            return self._report(before)
        try:
            await self._drain(deadline)
        except TimeoutError:
            return self._report(before)
        except DecisionLogError as exc:
            self.error = exc
            self._counters.upload_failures += 1
            self._backoff.failed(_now())
            return self._report(before, exc)
        finally:
            self._busy.release()
        self._recovered()
        return self._report(before)

    def _report(self, before: int, error: DecisionLogError | None = None) -> FlushReport:
        return FlushReport(self._counters.shipped - before, self._spool.backlog_events, error)

    def _recovered(self) -> None:
        self.error = None
        self._refused_stubs = 0
        self._backoff.succeeded()

    async def _drain(self, deadline: float) -> None:
        self._refused_stubs = 0
        self._spool.adopt()
        for segment in self._spool.shippable():
            while records := segment.read(READ_BYTES):
                await self._ship(segment, records, deadline)
            self._spool.remove(segment)

    async def _ship(self, segment: Segment, records: Sequence[Record], deadline: float) -> None:
        at = 0
        while at < len(records):
            window = records[at : at + self._most_events]
            # What a predecessor or a cut connection left in doubt is sent again as it was.
            is_retry = segment.batch_end >= window[0].end
            if is_retry:
                window = [record for record in window if record.end <= segment.batch_end]
            events = [record.event for record in window]
            form = self._sink.form
            chunk = await asyncio.to_thread(pack, events, self._limit_bytes, self._key, form)
            batch = window[: chunk.count]
            try:
                await self._send(segment, chunk.body, batch, deadline)
            except ShipError as exc:
                if not exc.refuses_content:
                    raise
                # Kept from one flush to the next: a short budget must not start over each time.
                self._most_events = max(1, chunk.count // 2)
                if chunk.count > 1:
                    continue
                await self._isolate(segment, batch[0], exc, deadline)
            else:
                self._most_events = min(2 * self._most_events, MOST_EVENTS)
                self._counters.nd_builtin_cache_dropped += chunk.without_cache
                self._counters.oversize_stubbed += chunk.stubbed
                self._spool.advance(segment, batch)
                self._counters.shipped += chunk.count
                self._counters.retried += chunk.count * is_retry
                self._counters.late += chunk.count * _is_late(events[0])
            at += chunk.count

    async def _isolate(
        self, segment: Segment, record: Record, refusal: ShipError, deadline: float
    ) -> None:
        """Set one refused event aside and let a stub stand for it, if the receiver takes that."""
        stub = make_stub(record.event, {"refused_http_code": refusal.http_code}, self._key)
        try:
            await self._send(segment, pack_alone(stub, self._sink.form), [record], deadline)
        except ShipError as exc:
            if not exc.refuses_content:
                raise
            self._refused_stubs += 1
            self._spool.reject(segment, record)
            self._spool.advance(segment, [record])
            if self._refused_stubs >= MOST_REFUSED_STUBS:
                raise
        else:
            self._spool.reject(segment, record)
            self._spool.advance(segment, [record])
            self._counters.shipped += 1

    async def _send(
        self, segment: Segment, body: bytes, records: Sequence[Record], deadline: float
    ) -> None:
        remaining_seconds = deadline - time.monotonic()
        if remaining_seconds <= 0:
            raise TimeoutError
        batch_id = segment.begin(records[-1].end)
        await self._sink.send(Batch(batch_id, body, records[0].event), remaining_seconds)
        self._counters.shipped_bytes += len(body)
        self._recovered()


def _is_late(event: bytes) -> bool:
    recorded_at = timestamp_of(event)
    return recorded_at is not None and time.time() - recorded_at.timestamp() > LATE_SECONDS


def _now() -> Moment:
    return Moment(time.time(), time.monotonic())
