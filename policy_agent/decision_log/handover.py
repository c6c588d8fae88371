"""Let one decision log take over from another in a running agent, and lose nothing on the way.

The new one records from the first moment on; the old one is closed once nothing is being shipped
from it, and what it leaves on disk is then its successor's, as after a restart.
"""

from __future__ import annotations

from policy_agent.decision_log.log import DecisionLog


class Handover:
    """The decision logs that others have taken over from.

    Attributes:
        shipped_bytes: by those that are closed.
    """

    def __init__(self) -> None:
        self.shipped_bytes = 0
        self._old: list[DecisionLog] = []

    def begin(self, old: DecisionLog, new: DecisionLog | None) -> None:
        """Note that nothing more is recorded in `old`."""
        old.close_stream()
        self._old.append(old)
        self.settle(new)

    def settle(self, successor: DecisionLog | None) -> None:
        """Close the old logs from which nothing is being shipped; `successor` adopts the rest."""
        idle = [each for each in self._old if not each.is_shipping]
        for each in idle:
            self._close(each)
        if idle and successor is not None:
            successor.adopt()

    def close(self) -> None:
        """Close every old log."""
        for each in list(self._old):
            self._close(each)

    def _close(self, old: DecisionLog) -> None:
        self.shipped_bytes += old.shipped_bytes
        self._old.remove(old)
        old.close()
