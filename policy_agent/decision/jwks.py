"""The keys of one issuer of tokens: read from a JSON Web Key Set, fetched again when needed.

Importing this loads pyjwt and cryptography, so only an agent that verifies tokens does. Sources:
RFC 7517, RFC 7518 section 6, RFC 8725 section 3.1.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import jwt
from msgspec import Struct

from policy_agent import http_client
from policy_agent.codec import decode_json
from policy_agent.config import Issuer
from policy_agent.errors import DocumentError, TransportError

log = logging.getLogger(__name__)

# (key id, or the place in the set of a key without one; algorithm) -> key
Keys = dict[tuple[str | int, str], jwt.PyJWK]

MAX_JWKS_BYTES: Final = 1 << 20
_PUBLIC_MEMBERS: Final = frozenset(("kty", "n", "e", "crv", "x", "y"))
_ALGORITHMS_OF_KIND: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("RSA", ""): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
    ("oct", ""): ("HS256", "HS384", "HS512"),
}


class Clock(Struct, frozen=True):
    """Seconds since the epoch, and seconds that are never set back."""

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic


class KeySet:
    """Keys by id and algorithm; replaced as a whole by each fetch that succeeds.

    A key that the issuer has withdrawn verifies nothing once `refresh_seconds` are over, unless the
    issuer cannot be reached: then the last keys stay, because taking its web server down must not
    take down every service behind it.

    Args:
        refresh_seconds: after which keys are to be fetched again.
        retry_seconds: the shortest time between two fetches.

    Attributes:
        generation: changes whenever the keys may have changed.
    """

    def __init__(
        self,
        issuer: Issuer,
        *,
        refresh_seconds: float = 3600,
        retry_seconds: float = 30,
        clock: Clock = Clock(),  # noqa: B008 - frozen
    ) -> None:
        self._issuer = issuer
        self._refresh_seconds = refresh_seconds
        self._retry_seconds = retry_seconds
        self._clock = clock
        self._keys: Keys = {}
        self._fetched: tuple[float, float] | None = None
        self._attempted: tuple[float, float] | None = None
        self.generation = 0
        if issuer.jwks is not None:
            self._keys = read_keys(issuer.jwks["keys"], issuer.algorithms)

    @property
    def is_empty(self) -> bool:
        """Whether there is no key at all."""
        return not self._keys

    def is_overdue(self) -> bool:
        """Whether the keys should be fetched again, and may be."""
        if not self._issuer.jwks_url:
            return False
        return self._age(self._fetched) >= self._refresh_seconds and self.may_fetch()

    def may_fetch(self) -> bool:
        """Whether an unknown key may be asked for; not so soon after the last one."""
        return bool(self._issuer.jwks_url) and self._age(self._attempted) >= self._retry_seconds

    def find(self, key_id: str | None, algorithm: str) -> jwt.PyJWK | None:
        """Return the key that a token names; without a name the only one that fits, if it is."""
        if key_id is not None:
            return self._keys.get((key_id, algorithm))
        fitting = [key for (_, fits), key in self._keys.items() if fits == algorithm]
        return fitting[0] if len(fitting) == 1 else None

    async def fetch(self, timeout_seconds: float) -> None:
        """Fetch the keys; failures are logged and leave those there are."""
        is_scheduled = self.is_overdue()
        try:
            self._keys = await self._download(timeout_seconds)
        except (TransportError, DocumentError) as exc:
            log.warning("identity.issuers.%s: its keys cannot be had: %s", self._issuer.name, exc)
            self._attempted = self._now()
            return
        self._fetched = self._now()
        if not is_scheduled:
            self._attempted = self._fetched
        self.generation += 1

    async def _download(self, timeout_seconds: float) -> Keys:
        request = http_client.Request("GET", self._issuer.jwks_url, {"Accept": "application/json"})
        limits = http_client.Limits(timeout_seconds, MAX_JWKS_BYTES)
        response = await http_client.send(request, limits)
        if response.status != 200:
            msg = f"the server answered {response.status}"
            raise TransportError(msg)
        document = decode_json(response.body)
        keys = document.get("keys") if isinstance(document, dict) else None
        if not isinstance(keys, list):
            msg = "not a JSON Web Key Set"
            raise DocumentError(msg)
        return read_keys(keys, self._issuer.algorithms)

    def _now(self) -> tuple[float, float]:
        return self._clock.wall(), self._clock.monotonic()

    def _age(self, since: tuple[float, float] | None) -> float:
        """Return the larger age of both clocks: either may stand still in a frozen sandbox."""
        if since is None:
            return float("inf")
        wall, monotonic = self._now()
        return max(wall - since[0], monotonic - since[1])


def read_keys(entries: Iterable[Any], algorithms: Iterable[str]) -> Keys:
    """Return the keys, each under every pinned algorithm that it fits.

    Entries that are not for signatures, are malformed, too weak or of another kind are left out.
    """
    pinned = set(algorithms)
    keys: Keys = {}
    for position, entry in enumerate(entries):
        if not isinstance(entry, Mapping) or not _is_for_verifying(entry):
            continue
        for algorithm in _algorithms_of(entry):
            if algorithm in pinned and (key := _key(entry, algorithm)) is not None:
                keys[entry.get("kid", position), algorithm] = key
    return keys


def _is_for_verifying(entry: Mapping[str, Any]) -> bool:
    operations = entry.get("key_ops", ["verify"])
    is_well_formed = isinstance(operations, list) and isinstance(entry.get("kid", ""), str)
    return is_well_formed and entry.get("use", "sig") == "sig" and "verify" in operations


def _algorithms_of(entry: Mapping[str, Any]) -> tuple[str, ...]:
    kind = entry.get("kty")
    curve = entry.get("crv", "") if kind in ("EC", "OKP") else ""
    fitting = _ALGORITHMS_OF_KIND.get((str(kind), str(curve)), ())
    named = entry.get("alg")
    return fitting if named is None else tuple(name for name in fitting if name == named)


def _key(entry: Mapping[str, Any], algorithm: str) -> jwt.PyJWK | None:
    # What a private key has besides is of no use here, and better not in memory.
    members = {"kty", "k"} if entry["kty"] == "oct" else _PUBLIC_MEMBERS
    try:
        key = jwt.PyJWK({name: entry[name] for name in members & entry.keys()}, algorithm)
    except jwt.PyJWTError:
        return None
    return None if key.Algorithm.check_key_length(key.key) else key
