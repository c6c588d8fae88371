"""A record of every API call and lifecycle step, with monotonic time stamps, for assertions."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from policy_agent.errors import EmulatorError


@dataclass(frozen=True, slots=True)
class Event:
    """One step.

    Attributes:
        at_ns: `time.monotonic_ns()` when it happened.
        kind: `spawn`, `register`, `next`, `invoke`, `response`, `freeze`, `exit`, ...
        subject: the extension's name, `runtime`, or "" for the environment itself.
    """

    at_ns: int
    kind: str
    subject: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


class EventLog:
    """All events of one environment, oldest first; it only grows."""

    def __init__(self) -> None:
        self._events: list[Event] = []

    def __iter__(self) -> Iterator[Event]:
        return iter(self._events)

    def record(self, kind: str, subject: str = "", **detail: Any) -> Event:
        """Append one event that happens now and return it."""
        event = Event(time.monotonic_ns(), kind, subject, detail)
        self._events.append(event)
        return event

    def of(self, kind: str, subject: str | None = None) -> list[Event]:
        """Return the events of one kind, of every subject when None."""
        return [
            event
            for event in self._events
            if event.kind == kind and subject in (None, event.subject)
        ]

    def to_text(self) -> str:
        """Return a line for each event: milliseconds from the first, kind, subject, detail."""
        lines = []
        for event in self._events:
            elapsed_ms = (event.at_ns - self._events[0].at_ns) / 1e6
            detail = " ".join(f"{name}={value}" for name, value in event.detail.items())
            lines.append(f"{elapsed_ms:10.1f} {event.kind} {event.subject} {detail}".rstrip())
        return "\n".join(lines)

    def elapsed_ms(self, start: str, end: str, subject: str) -> float:
        """Return the time from the latest `end` back to the `start` before it.

        `elapsed_ms("spawn", "register", name)` is what an extension costs each cold start.

        Raises:
            EmulatorError: there is no such pair of events.
        """
        for last in reversed(self.of(end, subject)):
            for first in reversed(self.of(start, subject)):
                if first.at_ns <= last.at_ns:
                    return (last.at_ns - first.at_ns) / 1e6
        msg = f"{subject or 'the environment'}: no {start} followed by {end} was recorded"
        raise EmulatorError(msg)
