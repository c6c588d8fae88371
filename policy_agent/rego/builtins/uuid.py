"""OPA's `uuid` built-ins.

Source: OPA v1.22 v1/topdown/uuid.go and internal/uuid/uuid.go.
"""

from __future__ import annotations

import re
from typing import Final
from uuid import uuid4

from policy_agent.model import UNDEFINED
from policy_agent.rego.builtins.nondeterminism import once
from policy_agent.rego.builtins.operands import need_string
from policy_agent.rego.builtins.registry import Builtin
from policy_agent.rego.context import Context
from policy_agent.rego.values import Value

_DASHED: Final = re.compile(r"(\w{8})-(\w{4})-(\w{4})-(\w{4})-(\w{12})", re.ASCII)
_HEX: Final = re.compile(r"[0-9a-fA-F]{32}")
# 100 ns steps from the start of the Gregorian calendar to 1970.
_GREGORIAN_TO_EPOCH: Final = 0x01B2_1DD2_1381_4000
_DOMAINS: Final = ("Person", "Group", "Org")


def _rfc4122(context: Context, key: Value) -> Value:
    return once(context, "uuid.rfc4122", [key], lambda: str(uuid4()))


def _bytes(text: str) -> bytes | None:
    """Return the 16 bytes of a UUID written in one of the four forms that Go's library reads."""
    if len(text) == 32:
        digits = text
    else:
        if len(text) == 45 and text[:9].lower() == "urn:uuid:":
            text = text[9:]
        elif len(text) == 38:
            text = text[1:37]
        match = _DASHED.fullmatch(text)
        if match is None:
            return None
        digits = "".join(match.groups())
    return bytes.fromhex(digits) if _HEX.fullmatch(digits) else None


def _variant(octet: int) -> str:
    if octet & 0xC0 == 0x80:
        return "RFC4122"
    if octet & 0xE0 == 0xC0:
        return "Microsoft"
    return "Future" if octet & 0xE0 == 0xE0 else "Reserved"


def _mac_variables(octet: int) -> str:
    scope = "local" if octet & 0b10 else "global"
    return f"{scope}:{'multicast' if octet & 0b01 else 'unicast'}"


def _parse(text: Value) -> Value:
    raw = _bytes(need_string(text, 1))
    if raw is None:
        return UNDEFINED
    version = raw[6] >> 4
    parsed: dict[str, Value] = {"version": version, "variant": _variant(raw[8])}
    if version in (1, 2):
        steps = int.from_bytes(raw[0:4]) | int.from_bytes(raw[4:6]) << 32
        steps |= (int.from_bytes(raw[6:8]) & 0xFFF) << 48
        parsed["time"] = _as_int64((steps - _GREGORIAN_TO_EPOCH) * 100)
        parsed["nodeid"] = raw[10:].hex("-")
        parsed["macvariables"] = _mac_variables(raw[10])
        parsed["clocksequence"] = int.from_bytes(raw[8:10]) & 0x3FFF
    if version == 2:
        parsed["id"] = int.from_bytes(raw[:4])
        domain = raw[9]
        parsed["domain"] = _DOMAINS[domain] if domain < len(_DOMAINS) else f"Domain{domain}"
    return parsed


def _as_int64(number: int) -> int:
    """Wrap a number around as Go's int64 does."""
    return (number + 2**63) % 2**64 - 2**63


BUILTINS: Final = {
    builtin.name: builtin
    for builtin in (
        Builtin("uuid.rfc4122", _rfc4122, deterministic=False, needs_context=True),
        Builtin("uuid.parse", _parse),
    )
}
