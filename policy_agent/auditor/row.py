"""The noun of this folder: one logged decision as the store keeps it.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ResultKind(StrEnum):
    """What a decision came to, whatever the shape of its result."""

    ALLOW = "allow"
    DENY = "deny"
    ERROR = "error"
    UNDEFINED = "undefined"
    OTHER = "other"
    FULFILMENT = "fulfilment"  # no decision: what became of a decision's obligations
    CLOSE = "close"  # no decision: the last entry of an agent's stream

    @classmethod
    def _missing_(cls, value: object) -> ResultKind:
        return cls.OTHER  # a later version, or someone else, wrote it


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """One decision; the field names are the table's columns. None is "the event does not say".

    Attributes:
        timestamp: aware UTC, microseconds; the event text keeps the sender's digits.
        path: as logged, without leading slash: `orders/authz/allow`.
        labels: the event's labels as JSON text.
        function: the name of the function that asked.
        revisions: bundle name -> revision, "" for a bundle without one.
        error: `code: message` where the event's error has them, else its JSON text.
        event: the whole event as received, JSON text.
        source: the spooled body that the event came in; the column is `_src`.
        instance: who numbered the event; None, as the two below, where nobody did.
        seq: its number there, from 1.
        chain: its chain value (`policy_agent.audit_chain`).
    """

    decision_id: str
    timestamp: datetime
    path: str | None
    labels: str
    function: str | None
    subject: str | None
    action: str | None
    result: ResultKind
    revisions: Mapping[str, str]
    requested_by: str | None
    error: str | None
    event: str
    source: str
    instance: str | None
    seq: int | None
    chain: str | None

    @property
    def key(self) -> tuple[str, datetime]:
        """What makes two rows the same decision: an agent re-delivers an event unchanged."""
        return self.decision_id, self.timestamp
