"""Answers that may be given again: the same policies, the same question, the same caller.

Only what was evaluated goes in, and only where evaluating it again could not give anything else:
no failures, and no policy that asks for the time, chance or the network. Keys are digests, so
neither inputs nor credentials are kept.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Any, Final

from policy_agent.codec import encode_json
from policy_agent.model import UNDEFINED, Snapshot

# What an answer takes in memory, by its length as JSON: measured over answers of many shapes.
_BYTES_PER_BYTE: Final = 10
_BYTES_PER_ANSWER: Final = 300


class Answers:
    """The latest answers, bounded by the memory they take."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._snapshot: Snapshot | None = None
        self._kept: OrderedDict[bytes, tuple[Any, int]] = OrderedDict()

    def find(self, snapshot: Snapshot, key: bytes) -> Any:
        """Return the answer, UNDEFINED when none is kept.

        Args:
            snapshot: the policies that would decide; answers of others are forgotten.
        """
        if snapshot is not self._snapshot:
            self._kept.clear()
            self._bytes = 0
            self._snapshot = snapshot
        found = self._kept.get(key)
        if found is None:
            return UNDEFINED
        self._kept.move_to_end(key)
        return found[0]

    def keep(self, key: bytes, result: Any) -> None:
        """Keep an answer of the policies last looked for; the oldest ones make room.

        Args:
            key: one that `find` has not found.
            result: not UNDEFINED, which is quickly found out anew.
        """
        size = _BYTES_PER_ANSWER + _BYTES_PER_BYTE * len(encode_json(result))
        if size > self._max_bytes:
            return
        self._kept[key] = (result, size)
        self._bytes += size
        while self._bytes > self._max_bytes:
            _, (_, oldest) = self._kept.popitem(last=False)
            self._bytes -= oldest


def question_key(path: str, credential: str, body: bytes, *, strict: bool) -> bytes:
    """Return what stands for a question: equal only for the same path, caller and exact body."""
    # No part can hold a NUL but the body, which is the last.
    start = f"{strict:d}\0{path}\0{credential}\0".encode("utf-8", "surrogateescape")
    return hashlib.sha256(start + body).digest()
