"""Prove that streams are whole and unaltered, or say where they are not.

Pure. Every entry is checked by itself: the chain value covers all of it, its number and the chain
value before it included (`policy_agent.audit_chain`). What is left to check is that entries follow
each other, which needs one look at each in the order of their numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from itertools import chain, groupby
from typing import Final

from policy_agent.audit_chain import ChainKey, audit_of, is_untouched
from policy_agent.auditor.bridge import Bridge
from policy_agent.auditor.extract import extract_row
from policy_agent.auditor.finding import Finding, Kind, Summary, merged
from policy_agent.auditor.heads import Dropped, Head
from policy_agent.auditor.row import DecisionRow, ResultKind
from policy_agent.codec import decode_json
from policy_agent.errors import AuditError, DocumentError

_START: Final = frozenset({""})  # what the first entry follows
_COLUMNS: Final = tuple(field.name for field in fields(DecisionRow))


@dataclass(frozen=True, slots=True)
class Unnumbered:
    """How many events of one function have no number, and when the first was."""

    function: str | None
    count: int
    first_at: datetime


@dataclass(frozen=True, slots=True)
class Window:
    """Which streams to verify: those that have anything in it. None is no bound."""

    since: datetime | None = None
    until: datetime | None = None

    def overlaps(self, first_at: datetime, last_at: datetime) -> bool:
        """Tell whether a stream of these times is in the window, even if only partly."""
        starts_in_time = self.until is None or first_at < self.until
        return starts_in_time and (self.since is None or last_at >= self.since)


class Verification:
    """One run over a store.

    Attributes:
        summary: complete when `run` has been exhausted.
    """

    def __init__(self, keys: Iterable[ChainKey], window: Window) -> None:
        """Prepare a run.

        Args:
            keys: those in use; when there are none, entries must have been made without.
        """
        self._keys = {key.id: key for key in keys} or {"": ChainKey()}
        self._window = window
        self._dropped: Mapping[str, Sequence[Dropped]] = {}
        self.summary = Summary()

    def run(
        self,
        rows: Iterable[DecisionRow],
        heads: Iterable[Head],
        unnumbered: Iterable[Unnumbered] = (),
        unreadable: Iterable[Finding] = (),
        dropped: Mapping[str, Sequence[Dropped]] | None = None,
    ) -> Iterator[Finding]:
        """Yield what is wrong, stream by stream.

        Args:
            rows: numbered ones, ordered by instance and number.
            heads: ordered by instance.
            unnumbered: what else there is.
            unreadable: what could not even be read.
            dropped: by instance, what retention has dropped, in the order of numbers.
        """
        self._dropped = dropped or {}
        found = chain(self._findings(rows, heads), self._unnumbered(unnumbered), unreadable)
        for finding in merged(found):
            self.summary.findings += 1
            yield finding

    def _findings(self, rows: Iterable[DecisionRow], heads: Iterable[Head]) -> Iterator[Finding]:
        waiting = iter(heads)
        head = next(waiting, None)
        for instance, entries in groupby(rows, lambda row: row.instance or ""):
            while head is not None and head.instance < instance:
                yield from self._missing(head)
                head = next(waiting, None)
            own = None
            if head is not None and head.instance == instance:
                own, head = head, next(waiting, None)
            stream = _Stream(self._keys, self.summary, self._dropped.get(instance, ()))
            for row in entries:
                yield from stream.take(row)
            yield from stream.end(own)
        while head is not None:
            yield from self._missing(head)
            head = next(waiting, None)

    def _unnumbered(self, unnumbered: Iterable[Unnumbered]) -> Iterator[Finding]:
        for events in unnumbered:
            self.summary.unnumbered += events.count
            # Who uses a key wants to know that every entry was made by its holder.
            if "" not in self._keys:
                detail = f"{events.count} events that no agent has numbered"
                yield Finding(
                    Kind.UNNUMBERED, None, None, None, events.function, events.first_at, detail
                )

    def _missing(self, head: Head) -> Iterator[Finding]:
        if not self._window.overlaps(head.first_at, head.last_at):
            return
        bridge = Bridge(self._dropped.get(head.instance, ()), 1, head.last_seq, _START)
        self.summary.dropped += bridge.dropped
        if bridge.dropped:
            for first_seq, last_seq in bridge.missing:
                detail = "it was received, is no longer there, and was not dropped by retention"
                yield replace(_lost(Kind.GAP, head, first_seq, detail), last_seq=last_seq)
        else:
            yield _lost(Kind.STREAM, head, 1, "nothing is left of what was received")


class _Stream:
    """Follows one stream through its entries."""

    def __init__(
        self, keys: Mapping[str, ChainKey], summary: Summary, dropped: Sequence[Dropped]
    ) -> None:
        self._keys = keys
        self._summary = summary
        self._dropped = dropped
        self._last_seq = 0
        # Chain values at the number before and at this one, None where nothing is there; several
        # where there are duplicates, so that the genuine one is not blamed for them.
        self._before: frozenset[str] | None = None
        self._here: frozenset[str] = _START
        self._closed_at_seq: int | None = None

    def take(self, row: DecisionRow) -> Iterator[Finding]:
        """Yield what is wrong with the next entry, or between the last one and it."""
        self._summary.events += 1
        if row.seq is None or row.seq < 1:
            yield from self._inspect(row)  # no agent counts like that, so the entry disagrees
            return
        if row.seq == self._last_seq:
            yield _found(Kind.DUPLICATE, row, "another entry has the same number")
        else:
            bridge = self._bridge_to(row.seq - 1)
            for first_seq, last_seq in bridge.missing:
                yield self._gap(row, first_seq, last_seq)
            if bridge.is_broken:
                yield _found(Kind.ORDER, row, "what retention has dropped does not fit before it")
            self._before = bridge.chains
            self._here = frozenset()
        self._here |= {row.chain or ""}
        self._last_seq = row.seq
        if self._closed_at_seq is not None and row.seq > self._closed_at_seq:
            yield _found(Kind.AFTER_CLOSE, row, "the stream had ended before")
        if row.result is ResultKind.CLOSE:
            self._closed_at_seq = row.seq
        yield from self._inspect(row)

    def end(self, head: Head | None) -> Iterator[Finding]:
        """Yield what is missing at the end, as far as a head tells."""
        self._summary.streams += 1
        is_closed = self._closed_at_seq is not None
        if head is None:
            self._summary.unwitnessed += 1
        elif head.last_seq > self._last_seq:
            bridge = self._bridge_to(head.last_seq)
            if bridge.is_broken:
                detail = "what retention has dropped does not fit after it"
                yield _lost(Kind.ORDER, head, self._last_seq, detail)
            if not bridge.missing:
                is_closed |= head.closed
            elif head.closed and bridge.missing == [(head.last_seq, head.last_seq)]:
                yield _lost(Kind.CLOSE, head, head.last_seq, "the closing record was received")
            else:
                detail = "they were received and are no longer there"
                yield _lost(Kind.TRUNCATED, head, bridge.missing[0][0], detail)
        elif head.closed and not is_closed:
            yield _lost(Kind.CLOSE, head, head.last_seq, "the closing record was received")
        self._summary.closed += is_closed
        self._summary.open += not is_closed

    def _bridge_to(self, last_seq: int) -> Bridge:
        """Look at what is between the last entry and a number, that included."""
        bridge = Bridge(self._dropped, self._last_seq + 1, last_seq, self._here)
        self._summary.dropped += bridge.dropped
        return bridge

    def _gap(self, row: DecisionRow, first: int, last: int) -> Finding:
        if first == 1:
            kind, detail = Kind.HEAD, "the stream does not begin with 1"
        elif row.result is ResultKind.CLOSE:
            kind, detail = Kind.TRUNCATED, "the closing record counts them"
        else:
            kind, detail = Kind.GAP, "missing"
        return Finding(kind, row.instance, first, last, row.function, row.timestamp, detail)

    def _inspect(self, row: DecisionRow) -> Iterator[Finding]:
        raw = row.event.encode()
        try:
            event, own = decode_json(raw), extract_row(raw, row.source)
        except (AuditError, DocumentError):
            yield _found(Kind.ALTERED, row, "its text is no event")
            return
        if (own.instance, own.seq) != (row.instance, row.seq):
            says = f"{own.instance} {own.seq}" if own.instance else "that nobody numbered it"
            yield _found(Kind.ORDER, row, f"the entry itself says {says}")
            return
        if own != row:
            differ = [name for name in _COLUMNS if getattr(own, name) != getattr(row, name)]
            detail = f"the entry itself says otherwise: {', '.join(differ)}"
            yield _found(Kind.ALTERED, row, detail)
        audit = audit_of(event)
        self._summary.replaced += "replaced" in audit
        key_id = str(audit.get("key", ""))
        key = self._keys.get(key_id)
        if key is None:
            made = f"with key {key_id}, which was not given" if key_id else "without a key"
            yield _found(Kind.KEY, row, f"made {made}")
        elif not _is_untouched(event, key):
            yield _found(Kind.ALTERED, row, "its chain value does not fit its content")
            return
        if self._before is not None and str(audit.get("prev", "")) not in self._before:
            yield _found(Kind.ORDER, row, "it does not follow the entry before it")


def _is_untouched(event: dict[str, object], key: ChainKey) -> bool:
    try:
        return is_untouched(event, key)
    except (TypeError, ValueError, RecursionError):
        return False  # no agent could have written it


def _found(kind: Kind, row: DecisionRow, detail: str) -> Finding:
    return Finding(kind, row.instance, row.seq, row.seq, row.function, row.timestamp, detail)


def _lost(kind: Kind, head: Head, first_seq: int, detail: str) -> Finding:
    return Finding(
        kind, head.instance, first_seq, head.last_seq, head.function, head.last_at, detail
    )
