"""The keys that signatures are verified with, wherever they come from: text, file, JWKS, KMS.

Does I/O. What comes over the network is not kept on disk: a key planted there would vouch for
anything. Sources: RFC 7517; AWS KMS API Reference, GetPublicKey.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from policy_agent import http_client
from policy_agent.bundle.local_file import read_regular_file
from policy_agent.bundle.schedule import Clock, Moment
from policy_agent.codec import decode_json
from policy_agent.config import Key
from policy_agent.errors import DocumentError, TransportError

log = logging.getLogger(__name__)

RENEW_SECONDS: Final = 300  # how long a key that was withdrawn from a set still verifies
_MAX_BYTES: Final = 1 << 20


class Keyring:
    """Verification keys by id; those that cannot be had are missing, so nothing verifies by them.

    Args:
        configured: by id, as in the configuration.
    """

    def __init__(self, configured: Mapping[str, Key], clock: Clock) -> None:
        self._configured = configured
        self._clock = clock
        self._loaded: dict[str, dict[str, Key]] = {}
        self._loaded_at: dict[str, Moment] = {}
        self._problems: dict[str, str] = {}
        self.keys: Mapping[str, Key] = {key.id: key for key in configured.values() if key.key}

    @property
    def problem(self) -> str:
        """Why keys are missing, "" when none is."""
        return "; ".join(self._problems.values())

    async def renew(self, timeout_seconds: float) -> float:
        """Load the keys that are missing, and JWKS that are too old; failures are logged.

        Returns:
            How much of the time is left.
        """
        due = [key for key in self._configured.values() if self._is_due(key)]
        if not due:
            return timeout_seconds
        clock = asyncio.get_running_loop().time
        deadline = clock() + timeout_seconds
        loaded = await asyncio.gather(*(self._load(key, timeout_seconds) for key in due))
        for key, keys in zip(due, loaded, strict=True):
            if keys is not None:
                self._loaded[key.id] = keys
                self._loaded_at[key.id] = Moment.now(self._clock)
        # A set must not replace a key that the configuration itself names.
        sets = {key.id: key for keys in self._loaded.values() for key in keys.values()}
        own = {key.id: key for key in self._configured.values() if key.key}
        self.keys = {**sets, **own}
        return max(deadline - clock(), 0.0)

    def _is_due(self, key: Key) -> bool:
        if key.key or not (key.path or key.jwks_url or key.kms_key_id):
            return False
        loaded_at = self._loaded_at.get(key.id)
        if loaded_at is None:
            return True
        return bool(key.jwks_url) and loaded_at.age_seconds(self._clock) > RENEW_SECONDS

    async def _load(self, key: Key, timeout_seconds: float) -> dict[str, Key] | None:
        try:
            if key.jwks_url:
                keys = await _from_set(key, timeout_seconds)
            elif key.kms_key_id:
                # Few agents verify with KMS.
                from policy_agent.credentials import kms

                text = await kms.public_key(key.kms_key_id, timeout_seconds)
                keys = {key.id: replace(key, key=text)}
            else:
                keys = {key.id: replace(key, key=await asyncio.to_thread(_from_file, key))}
        except TransportError as exc:
            problem = f"keys.{key.id}: the key cannot be had: {exc}"
            log.warning("%s", problem)
            if key.id not in self._loaded:
                self._problems[key.id] = problem
            return None
        self._problems.pop(key.id, None)
        return keys


def _from_file(key: Key) -> str:
    try:
        content = read_regular_file(Path(key.path), limit_bytes=_MAX_BYTES)
        if content is None:
            raise TransportError("the file is too large")
        return content.decode()
    except OSError as exc:
        raise TransportError((exc.strerror or str(exc)).lower()) from exc
    except UnicodeDecodeError as exc:
        raise TransportError("the file is not text in UTF-8") from exc


async def _from_set(key: Key, timeout_seconds: float) -> dict[str, Key]:
    request = http_client.Request("GET", key.jwks_url, {"Accept": "application/json"})
    answer = await http_client.send(request, http_client.Limits(timeout_seconds, _MAX_BYTES))
    if answer.status != 200:
        raise TransportError(f"the server answered {answer.status} {answer.reason}")
    try:
        document = decode_json(answer.body)
    except DocumentError as exc:
        raise TransportError(f"no JSON Web Key Set: {exc}") from exc
    members = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(members, list):
        raise TransportError("no JSON Web Key Set: it has no list of keys")
    return await asyncio.to_thread(_usable, key, members)


def _usable(key: Key, members: list[Any]) -> dict[str, Key]:
    """Return the keys of a set that verify by the configured algorithm; others are not for us."""
    from cryptography.hazmat.primitives import serialization
    from jwt import PyJWK
    from jwt.exceptions import PyJWTError

    usable: dict[str, Key] = {}
    for member in members:
        facts = member if isinstance(member, dict) else {}
        kid, algorithm = facts.get("kid"), facts.get("alg", key.algorithm)
        if not isinstance(kid, str) or not kid or algorithm != key.algorithm:
            continue
        if facts.get("use", "sig") != "sig" or facts.get("kty") not in ("RSA", "EC"):
            continue
        # Only what makes a public key is read, so that a private one cannot slip in.
        public = {name: facts[name] for name in ("kty", "n", "e", "crv", "x", "y") if name in facts}
        try:
            pem = PyJWK(public, key.algorithm).key.public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        except (PyJWTError, ValueError, TypeError, AttributeError) as exc:
            log.warning("keys.%s: a key of the set cannot be used: %s", key.id, type(exc).__name__)
            continue
        usable[kid] = replace(key, id=kid, key=pem.decode(), in_set=key.id)
    return usable
