"""Tell what is missing between two entries of a stream from what retention has dropped there.

Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from policy_agent.auditor.heads import Dropped


class Bridge:
    """From one number to another, over what was dropped on purpose.

    Attributes:
        missing: first and last number of what is not there and was not dropped either.
        dropped: how many entries were.
        is_broken: what was dropped did not follow the entry before it.
        chains: chain values that the entry after `last_seq` may follow; None when nothing is known.
    """

    def __init__(
        self,
        dropped: Sequence[Dropped],
        first_seq: int,
        last_seq: int,
        chains: frozenset[str] | None,
    ) -> None:
        """Look at the numbers from `first_seq` to `last_seq`, of which there are no entries.

        Args:
            dropped: all of the stream, in the order of numbers.
            chains: those of the entry before `first_seq`.
        """
        self.missing: list[tuple[int, int]] = []
        self.dropped = 0
        self.is_broken = False
        self.chains = chains
        at = first_seq
        for run in dropped:
            if at > last_seq or run.first_seq > last_seq:
                break
            if run.last_seq < at:
                continue
            if run.first_seq > at:
                self._miss(at, run.first_seq - 1)
                at = run.first_seq
            elif run.first_seq == at and self.chains is not None and run.prev not in self.chains:
                self.is_broken = True
            # Of entries within the run that are there again nobody knows what they follow.
            self.chains = frozenset({run.chain}) if run.last_seq <= last_seq else None
            self.dropped += min(run.last_seq, last_seq) - at + 1
            at = run.last_seq + 1
        if at <= last_seq:
            self._miss(at, last_seq)

    def _miss(self, first_seq: int, last_seq: int) -> None:
        self.missing.append((first_seq, last_seq))
        self.chains = None
