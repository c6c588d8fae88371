"""Collect telemetry events of one subscriber until a batch is due. Pure."""

from __future__ import annotations

from collections import deque

from policy_agent.emulator.telemetry_subscription import Buffering


class TelemetryBuffer:
    """First in, first out; holds at most two batches' bytes, then drops the oldest."""

    def __init__(self, limits: Buffering) -> None:
        self._limits = limits
        self._events: deque[bytes] = deque()
        self._size_bytes = 0
        self._oldest_at = 0.0

    def push(self, event: bytes, now: float) -> list[bytes]:
        """Append one encoded event and return those dropped to make room.

        Args:
            now: seconds on any steady clock, the same for all calls.
        """
        if not self._events:
            self._oldest_at = now
        self._events.append(event)
        self._size_bytes += len(event)
        dropped = []
        while self._size_bytes > 2 * self._limits.max_bytes and len(self._events) > 1:
            dropped.append(self._pop())
        return dropped

    def seconds_until_due(self, now: float) -> float | None:
        """Return how long the next batch may still wait: 0 when due, None when empty."""
        if not self._events:
            return None
        full = (
            len(self._events) >= self._limits.max_items
            or self._size_bytes >= self._limits.max_bytes
        )
        return 0.0 if full else max(0.0, self._oldest_at + self._limits.timeout_seconds - now)

    def take(self, now: float) -> list[bytes]:
        """Remove and return the next batch, oldest first."""
        batch: list[bytes] = []
        size_bytes = 0
        while self._events and len(batch) < self._limits.max_items:
            size_bytes += len(self._events[0])
            if batch and size_bytes > self._limits.max_bytes:
                break
            batch.append(self._pop())
        self._oldest_at = now
        return batch

    def _pop(self) -> bytes:
        event = self._events.popleft()
        self._size_bytes -= len(event)
        return event
