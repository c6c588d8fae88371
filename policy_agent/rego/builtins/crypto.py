"""OPA's digests and keyed digests.

Source: OPA v1.22 v1/topdown/crypto.go.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from policy_agent.rego.builtins.go_text import to_bytes
from policy_agent.rego.builtins.operands import need_string
from policy_agent.rego.builtins.registry import Builtin
from policy_agent.rego.values import Value

_HASHES: Final[dict[str, Callable[..., Any]]] = {
    # A policy may compare old digests; nothing here is signed with them.
    "md5": partial(hashlib.md5, usedforsecurity=False),
    "sha1": partial(hashlib.sha1, usedforsecurity=False),
    "sha256": hashlib.sha256,
    "sha512": hashlib.sha512,
}


def _bytes(value: Value, position: int) -> bytes:
    return to_bytes(need_string(value, position))


def _digest(algorithm: str, message: Value) -> Value:
    return str(_HASHES[algorithm](_bytes(message, 1)).hexdigest())


def _hmac(algorithm: str, message: Value, key: Value) -> Value:
    raw = _bytes(message, 1)
    return hmac.new(_bytes(key, 2), raw, _HASHES[algorithm]).hexdigest()


def _hmac_equal(one: Value, two: Value) -> Value:
    return hmac.compare_digest(_bytes(one, 1), _bytes(two, 2))


BUILTINS: Final = {
    builtin.name: builtin
    for builtin in (
        *(Builtin(f"crypto.{name}", partial(_digest, name)) for name in ("md5", "sha1", "sha256")),
        *(Builtin(f"crypto.hmac.{name}", partial(_hmac, name)) for name in _HASHES),
        Builtin("crypto.hmac.equal", _hmac_equal),
    )
}
