"""Put together what each page shows. Blocking; each question opens the store anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final

from policy_agent.audit_chain import ChainKey, audit_of
from policy_agent.auditor.anomalies import Anomaly, find_anomalies
from policy_agent.auditor.filters import Filters, parse_moment
from policy_agent.auditor.finding import Finding, Summary
from policy_agent.auditor.heads import read_dropped, read_heads
from policy_agent.auditor.row import DecisionRow, ResultKind
from policy_agent.auditor.store import AuditStore
from policy_agent.auditor.verify import Verification, Window
from policy_agent.codec import decode_json, encode_json, indent_json
from policy_agent.errors import AuditError, DocumentError

PAGE_ROWS: Final = 100
MOST_FINDINGS: Final = 500
_TICK: Final = timedelta(microseconds=1)
# What a page says of an entry beside input and result, by where it stands under `custom`.
_ASIDE: Final = (
    *("rules", "obligations", "fulfilment", "subject", "lambda", "trace", "bundles"),
    *("sampling", "cache_hit", "withheld"),
)


@dataclass(frozen=True, slots=True)
class Page:
    """Some decisions, newest first.

    Attributes:
        older: where the next page ends (exclusive); None on the last.
        total: how many there are on all pages from this one on.
    """

    rows: Sequence[DecisionRow]
    older: datetime | None
    total: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, taken apart for its page.

    Attributes:
        parts: heading -> JSON, of what there is.
        proof: what the chain says of it: words, and whether they are good news.
    """

    row: DecisionRow
    parts: Mapping[str, str]
    proof: Sequence[tuple[str, bool]]
    event: str


@dataclass(frozen=True, slots=True)
class Report:
    """A verification: the first findings, and the counts of all."""

    findings: Sequence[Finding]
    summary: Summary


class Asking:
    """Answers the pages' questions from one store."""

    def __init__(self, directory: Path, keys: Sequence[ChainKey]) -> None:
        self._directory = directory
        self._keys = keys

    def decisions(self, asked: Mapping[str, str], now: datetime) -> Page:
        """Return one page of the decisions that meet the filters.

        Raises:
            AuditError: a filter makes no sense, or the store cannot be read.
        """
        filters = _filters(asked, now)
        with AuditStore(self._directory) as store:
            rows = store.query(filters, limit=PAGE_ROWS + 1)
            total = store.count(filters)
        if len(rows) <= PAGE_ROWS:
            return Page(rows, None, total)
        # A page ends between two moments, so that none of the same moment is passed over.
        cut = rows[-1].timestamp
        shown = [row for row in rows if row.timestamp > cut]
        return Page(shown, cut + _TICK, total) if shown else Page(rows, cut, total)

    def entries(self, decision_id: str) -> list[Entry]:
        """Return what the store has under a decision's id; more than one is itself a finding.

        Raises:
            AuditError: the store cannot be read.
        """
        kinds = (None, ResultKind.FULFILMENT, ResultKind.CLOSE)
        with AuditStore(self._directory) as store:
            rows = [
                row
                for kind in kinds
                for row in store.query(Filters(decision_id=decision_id, result=kind))
            ]
            return [self._entry(row, self._proof(store, row)) for row in rows]

    def verification(self, asked: Mapping[str, str], now: datetime) -> Report:
        """Verify the streams with anything in a time.

        Raises:
            AuditError: a time makes no sense, or the store cannot be read.
        """
        since, until = (
            parse_moment(asked[name], now) if name in asked else None for name in ("since", "until")
        )
        with AuditStore(self._directory) as store:
            return self._verify(store, Window(since, until), None)

    def anomalies(self, start: datetime, since: datetime, now: datetime) -> list[Anomaly]:
        """Compare what was decided since a time with what came before.

        Raises:
            AuditError: the times are not in order, or the store cannot be read.
        """
        if not start < since < now:
            raise AuditError("the baseline must begin before what is recent, and both before now")
        with AuditStore(self._directory) as store:
            baseline, recent = store.tallies(start, since), store.tallies(since, now)
        return find_anomalies(baseline, recent, share=(now - since) / (since - start))

    def _verify(self, store: AuditStore, window: Window, instance: str | None) -> Report:
        heads = read_heads(self._directory)
        dropped = read_dropped(self._directory)
        verification = Verification(self._keys, window)
        if instance is None:
            chosen = [
                head.instance for head in heads if window.overlaps(head.first_at, head.last_at)
            ]
            rows = store.streams(window.since, window.until, chosen)
            unnumbered = store.unnumbered(window.since, window.until)
        else:
            heads = [head for head in heads if head.instance == instance]
            rows = store.stream_of(instance)
            unnumbered = []
        found = verification.run(rows, heads, unnumbered, dropped=dropped)
        findings = list(islice(found, MOST_FINDINGS))
        for _ in found:
            pass  # they are counted all the same
        return Report(findings, verification.summary)

    def _entry(self, row: DecisionRow, proof: Sequence[tuple[str, bool]]) -> Entry:
        try:
            event = decode_json(row.event.encode())
        except DocumentError:
            event = {}
        custom = event.get("custom") if isinstance(event, dict) else None
        facts: dict[str, Any] = {
            name: event[name]
            for name in ("input", "result", "error", "erased", "masked")
            if isinstance(event, dict) and name in event
        }
        if isinstance(custom, dict):
            facts |= {name: custom[name] for name in _ASIDE if name in custom}
        parts = {name: _as_text(value) for name, value in facts.items()}
        return Entry(row, parts, proof, _as_text(event) if event else row.event)

    def _proof(self, store: AuditStore, row: DecisionRow) -> list[tuple[str, bool]]:
        if row.instance is None:
            return [("no agent has numbered it, so nothing can be proven of it", False)]
        report = self._verify(store, Window(), row.instance)
        said = [
            (f"{finding.kind}: {finding.detail}", False)
            for finding in report.findings
            if finding.first_seq is None
            or row.seq is None
            or finding.first_seq <= row.seq <= (finding.last_seq or finding.first_seq)
        ]
        if not said:
            audit = audit_of(decode_json(row.event.encode()))
            key = f"with key {audit['key']}" if "key" in audit else "without a key"
            said = [(f"as its agent made it, {key}, and in its place in the stream", True)]
        summary = report.summary
        whole = "whole" if not summary.findings else f"{summary.findings} findings"
        state = "closed" if summary.closed else "open"
        stream = f"its stream: {summary.events} entries, {state}, {whole}"
        return [*said, (stream, not summary.findings)]


def _filters(asked: Mapping[str, str], now: datetime) -> Filters:
    kind = asked.get("result")
    if kind is not None and kind not in [each.value for each in ResultKind]:
        raise AuditError(f"{kind!r} is no outcome")
    return Filters(
        since=parse_moment(asked["since"], now) if "since" in asked else None,
        until=parse_moment(asked["until"], now) if "until" in asked else None,
        function=asked.get("function"),
        subject=asked.get("subject"),
        path=asked["path"].lstrip("/") if "path" in asked else None,
        result=ResultKind(kind) if kind else None,
        revision=asked.get("revision"),
        decision_id=asked.get("decision_id"),
    )


def _as_text(value: Any) -> str:
    return indent_json(encode_json(value)).decode()
