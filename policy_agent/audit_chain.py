"""The chain through decision log entries, for those who write entries and those who verify them.

Pure. Each entry has `custom.audit`: who numbered it (`instance`), its number there (`seq`, from 1
without gaps), the `chain` value of the entry before (`prev`, absent in the first) and its own, and
the id of the `key`, absent without one. `chain` covers the canonical text of all the rest of the
entry, so that no part of it can change, and through `prev` all entries before it. An entry that
the receiver could not take as it was keeps these values, is marked `replaced`, and has a `seal`
over what it has become.
"""

from __future__ import annotations

import hashlib

from policy_agent.codec import encode_json
from policy_agent.model import JsonObject

# 128 bits: the key's holder apart, nobody finds a second text with the same value.
_TAG_DIGITS = 32
_KEY_ID_DIGITS = 8
_KEY_ID_TEXT = b"policy-agent audit key"
_BLOCK_BYTES = 64


class ChainKey:
    """A secret, or none: then values show accidents, but whoever can change an entry can forge it.

    Attributes:
        id: tells keys apart without revealing them; "" without a secret.
    """

    def __init__(self, secret: bytes = b"") -> None:
        self._inner, self._outer = hashlib.sha256(), None
        self.id = ""
        if secret:
            if len(secret) > _BLOCK_BYTES:
                secret = hashlib.sha256(secret).digest()
            padded = secret.ljust(_BLOCK_BYTES, b"\0")
            # HMAC-SHA256 (RFC 2104) from two prepared states: `hmac` takes three times as long.
            self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded))
            self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded))
            self.id = self.tag(_KEY_ID_TEXT)[:_KEY_ID_DIGITS]

    def tag(self, content: bytes) -> str:
        """Return the first 128 bits of the content's HMAC-SHA256, or SHA-256, in hexadecimal."""
        digest = self._inner.copy()
        digest.update(content)
        if self._outer is not None:
            inner, digest = digest, self._outer.copy()
            digest.update(inner.digest())
        return digest.hexdigest()[:_TAG_DIGITS]


def read_key(raw: bytes) -> bytes:
    """Return the secret in the text of a key file: all but white space around it."""
    return raw.strip()


def audit_of(event: JsonObject) -> JsonObject:
    """Return an event's `custom.audit`, {} when it has none."""
    custom = event.get("custom")
    audit = custom.get("audit") if isinstance(custom, dict) else None
    return audit if isinstance(audit, dict) else {}


def with_audit(event: JsonObject, audit: JsonObject) -> JsonObject:
    """Return the event with `audit` under `custom`, beside what is there."""
    return {**event, "custom": {**event.get("custom", {}), "audit": audit}}


def sealed(event: JsonObject, audit: JsonObject, key: ChainKey) -> JsonObject:
    """Return what stands for an entry that could not be shipped as it was.

    Args:
        event: its new form.
        audit: `custom.audit` of the original; {} for an entry that has none, which stays so.
    """
    if not audit:
        return event
    audit = {**audit, "replaced": True}
    audit.pop("key", None)  # the original's may be a predecessor's
    if key.id:
        audit["key"] = key.id
    event = with_audit(event, audit)
    audit["seal"] = key.tag(encode_json(event))
    return event


def is_untouched(event: JsonObject, key: ChainKey) -> bool:
    """Tell whether an entry is as the holder of `key` made it.

    Raises:
        TypeError, ValueError, RecursionError: it cannot be written as JSON.
    """
    audit = dict(audit_of(event))
    tag = audit.pop("seal" if "replaced" in audit else "chain", None)
    return bool(tag == key.tag(encode_json(with_audit(event, audit))))
