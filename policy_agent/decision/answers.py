"""Answers that may be given again: the same policies, the same question, the same caller.

Only what was evaluated goes in, and only where evaluating it again could not give anything else:
no failures, and no policy that asks for the time, chance or the network. Keys are digests, so
neither inputs nor credentials are kept.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Any, Final

from msgspec import Struct

from policy_agent.codec import encode_json
from policy_agent.model import UNDEFINED, Evidence, JsonObject, Snapshot

# What an answer takes in memory, by its length as JSON: measured over answers of many shapes.
_BYTES_PER_BYTE: Final = 10
_BYTES_PER_ANSWER: Final = 300


# Not frozen: made for each decision, and freezing takes four times as long.
class Answer(Struct):
    """What a policy said.

    Attributes:
        problem: OPA's JSON error object when evaluation failed.
        evidence: None when it did.
    """

    result: Any
    problem: JsonObject | None = None
    evidence: Evidence | None = None


NO_ANSWER: Final = Answer(UNDEFINED)


class Answers:
    """The latest answers, bounded by the memory they take."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._snapshot: Snapshot | None = None
        self._kept: OrderedDict[bytes, tuple[Answer, int]] = OrderedDict()

    def find(self, snapshot: Snapshot, key: bytes) -> Answer | None:
        """Return the answer, None when none is kept.

        Args:
            snapshot: the policies that would decide; answers of others are forgotten.
        """
        if snapshot is not self._snapshot:
            self._kept.clear()
            self._bytes = 0
            self._snapshot = snapshot
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def keep(self, key: bytes, answer: Answer) -> None:
        """Keep an answer of the policies last looked for; the oldest ones make room.

        Args:
            key: one that `find` has not found.
            answer: one with a result, since UNDEFINED is quickly found out anew.
        """
        size = _BYTES_PER_ANSWER + _BYTES_PER_BYTE * len(encode_json(answer.result))
        if size > self._max_bytes:
            return
        self._kept[key] = (answer, size)
        self._bytes += size
        while self._bytes > self._max_bytes:
            _, (_, oldest) = self._kept.popitem(last=False)
            self._bytes -= oldest


def question_key(path: str, credential: str, body: bytes, *, strict: bool) -> bytes:
    """Return what stands for a question: equal only for the same path, caller and exact body."""
    # No part can hold a NUL but the body, which is the last.
    start = f"{strict:d}\0{path}\0{credential}\0".encode("utf-8", "surrogateescape")
    return hashlib.sha256(start + body).digest()
