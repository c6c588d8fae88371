"""Number the entries of this agent and chain them, so that a missing or changed one shows.

Pure but for the kernel's random source. `policy_agent.audit_chain` says what the numbers mean.
"""

from __future__ import annotations

import os

from msgspec import Struct

from policy_agent.audit_chain import ChainKey, with_audit
from policy_agent.decision_log.event import encode_event
from policy_agent.model import JsonObject

_INSTANCE_BYTES = 8


class Link(Struct, frozen=True):
    """An event that has a number, but does not use it up before `Numbering.accept`.

    Attributes:
        event: with `custom.audit`.
        raw: the event as one line of JSON.
    """

    event: JsonObject
    raw: bytes
    chain: str


class Numbering:
    """One stream of entries: `instance`, and `seq` from 1."""

    def __init__(self, key: ChainKey) -> None:
        self._key = key
        # Drawn with the first entry: a SnapStart snapshot of an agent that has not decided yet is
        # cloned without a name, and each clone finds its own.
        self._instance = ""
        self.last_seq = 0
        self._chain = ""

    def link(self, event: JsonObject, **facts: object) -> Link:
        """Return the event as the next entry; the same number again until one is accepted.

        Args:
            facts: what else to say under `custom.audit`.

        Raises:
            DecisionLogError: it holds something that JSON cannot express.
        """
        if not self._instance:
            self._instance = os.urandom(_INSTANCE_BYTES).hex()
        audit: JsonObject = {"instance": self._instance, "seq": self.last_seq + 1, **facts}
        if self._chain:
            audit["prev"] = self._chain
        if self._key.id:
            audit["key"] = self._key.id
        event = with_audit(event, audit)
        content = encode_event(event)
        audit["chain"] = chain = self._key.tag(content)
        if facts:
            return Link(event, encode_event(event), chain)
        # Half the price of encoding it again. Only `bundles` stands before `custom`, and in its
        # texts a quotation mark is escaped.
        start = b'"audit":{"instance":"%b"' % self._instance.encode()
        with_chain = b'"audit":{"chain":"%b",%b' % (chain.encode(), start[9:])
        return Link(event, content.replace(start, with_chain, 1), chain)

    def accept(self, link: Link) -> None:
        """Use up the number: the entry is stored."""
        self.last_seq += 1
        self._chain = link.chain

    def end(self) -> None:
        """End the stream; what follows gets another instance, from 1."""
        self._instance = self._chain = ""
        self.last_seq = 0
