"""What a verification says: findings, and how much there was to look at.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from policy_agent.auditor.render import format_time, visible


class Kind(StrEnum):
    """What is wrong with some entries of a stream."""

    GAP = "gap"  # numbers are missing in the middle
    HEAD = "missing-head"  # its first numbers are
    TRUNCATED = "truncated"  # its last numbers are, though they have been here
    CLOSE = "missing-close"  # only its closing record is, though it has been here
    STREAM = "missing-stream"  # all of it is, though it has been here
    AFTER_CLOSE = "after-close"  # it goes on after its closing record
    DUPLICATE = "duplicate"  # one number, several entries
    ALTERED = "altered"  # an entry is not what its agent made
    ORDER = "wrong-order"  # an entry is not where its agent put it
    KEY = "wrong-key"  # nothing can be said: made without a key, or with one that was not given
    UNNUMBERED = "unnumbered"  # nobody has numbered them; only looked for when a key is given
    UNREADABLE = "unreadable"  # a file, or something in it, is no entry


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        instance: the stream; None for unnumbered events.
        first_seq: the first number concerned, and the last.
        at: time of the entry concerned, or of one beside what is missing.
    """

    kind: Kind
    instance: str | None
    first_seq: int | None
    last_seq: int | None
    function: str | None
    at: datetime
    detail: str


@dataclass(slots=True)
class Summary:
    """How much was looked at.

    Attributes:
        events: entries of streams, closing records included.
        streams: sum of `closed` and `open`.
        open: without a closing record: still running, or ended by a kill.
        replaced: entries that were too large for the receiver or refused by it; their numbers and
            chain values stand, their input and result do not.
        unnumbered: events of senders that do not number theirs, such as OPA.
        dropped: entries of streams that retention has dropped, their chain noted.
        unwitnessed: streams that no head was noted of, so that a lost end would not show.
    """

    events: int = 0
    streams: int = 0
    closed: int = 0
    open: int = 0
    replaced: int = 0
    unnumbered: int = 0
    dropped: int = 0
    unwitnessed: int = 0
    findings: int = 0


def as_text(finding: Finding) -> str:
    """Return a finding as one line, without control characters of whoever wrote the entry."""
    instance = visible(finding.instance or "")
    function = visible(finding.function or "")
    numbers = f"{finding.first_seq}"
    if finding.last_seq != finding.first_seq:
        numbers += f"-{finding.last_seq}"
    return (
        f"{finding.kind} instance={instance} seq={numbers if finding.first_seq else '-'}"
        f" function={function} time={format_time(finding.at)}: {visible(finding.detail)}"
    )


def merged(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield findings with neighbours of one kind made one."""
    last: Finding | None = None
    for finding in findings:
        if last is not None and _continues(last, finding):
            last = replace(last, last_seq=finding.last_seq)
            continue
        if last is not None:
            yield last
        last = finding
    if last is not None:
        yield last


def _continues(last: Finding, finding: Finding) -> bool:
    same = (last.kind, last.instance, last.detail) == (
        finding.kind,
        finding.instance,
        finding.detail,
    )
    return (
        same
        and last.last_seq is not None
        and finding.first_seq is not None
        and finding.first_seq - last.last_seq in (0, 1)
    )
