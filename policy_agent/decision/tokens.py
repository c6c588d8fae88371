"""Judge a caller's token: whose it is, or the reason why it is nobody's.

Reasons name the check that failed and nothing else: neither what the token says nor what the
configuration expects. What is wrong with the claims is told only once the signature is right, so a
forger learns that it is not. Sources: RFC 7519, RFC 8725; the audience rule is that of API
Gateway's JWT authorizers. Importing this loads pyjwt.
"""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final

import jwt
from msgspec import Struct

from policy_agent.codec import decode_json
from policy_agent.config import Identity, Issuer
from policy_agent.decision.jwks import KeySet
from policy_agent.errors import DocumentError, IdentityError, KeysNeededError
from policy_agent.model import JsonObject

KEPT_TOKENS: Final = 1000

_MESSAGES: Final[Mapping[str, str]] = {
    "token_algorithm": "the caller's token is not signed with an algorithm its issuer may use",
    "token_audience": "the caller's token is meant for another audience",
    "token_claims": "the caller's token lacks a claim that it needs, or one has the wrong form",
    "token_expired": "the caller's token has expired",
    "token_issuer": "the caller's token comes from an issuer that is not configured",
    "token_key_unknown": "the caller's token is signed with a key that its issuer does not publish",
    "token_keys_unavailable": "the keys of the token's issuer cannot be had",
    "token_malformed": "the caller's token is not a signed JSON Web Token",
    "token_missing": "the decision needs a token of the caller, and there is none",
    "token_not_yet_valid": "the caller's token is not valid yet",
    "token_signature": "the signature of the caller's token is wrong",
    "token_too_large": "the caller's token is longer than identity.max_token_bytes",
}
_DECODE: Final[Any] = {"require": ["exp", "iss"], "enforce_minimum_key_length": True}
_UNVERIFIED: Final[Any] = {"verify_signature": False}


class Caller(Struct, frozen=True):
    """Who a verified token belongs to.

    Attributes:
        identity: what policies see as `input.identity`: the issuer's name and the claims.
        valid_from, valid_until: seconds since the epoch, clock skew allowed for.
    """

    identity: JsonObject
    valid_from: float
    valid_until: float


class TokenVerifier:
    """Verifies tokens, each one's signature once: verdicts are kept while keys stay the same.

    Args:
        keys: issuer's name -> its keys.
        wall: seconds since the epoch.
    """

    def __init__(
        self, config: Identity, keys: Mapping[str, KeySet], wall: Callable[[], float]
    ) -> None:
        self._config = config
        self._keys = keys
        self._wall = wall
        self._issuers = {issuer.issuer: issuer for issuer in config.issuers.values()}
        # By digest: no copy of a credential is kept.
        self._known: OrderedDict[bytes, tuple[Issuer, int, Caller]] = OrderedDict()

    def verify(self, token: str) -> Caller:
        """Return whose token it is.

        Raises:
            KeysNeededError: fetch the issuer's keys and ask again.
            IdentityError: it is nobody's.
        """
        if len(token) > self._config.max_token_bytes:
            raise refusal("token_too_large")
        raw = token.encode("utf-8", "surrogateescape")
        digest = hashlib.sha256(raw).digest()
        known = self._known.get(digest)
        if known is not None:
            issuer, generation, caller = known
            keys = self._keys[issuer.name]
            if generation == keys.generation and not keys.is_overdue():
                self._check_time(caller)
                return caller
            del self._known[digest]
        issuer, caller = self._verify(raw)
        self._known[digest] = (issuer, self._keys[issuer.name].generation, caller)
        if len(self._known) > KEPT_TOKENS:
            self._known.popitem(last=False)
        return caller

    def _check_time(self, caller: Caller) -> None:
        now = self._wall()
        if now >= caller.valid_until:
            raise refusal("token_expired")
        if now < caller.valid_from:
            raise refusal("token_not_yet_valid")

    def _verify(self, raw: bytes) -> tuple[Issuer, Caller]:
        try:
            header = jwt.get_unverified_header(raw)
            claimed = jwt.decode(raw, options=_UNVERIFIED)
        except (jwt.PyJWTError, ValueError) as exc:
            raise refusal("token_malformed") from exc
        name = claimed.get("iss")
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            raise refusal("token_issuer")
        if header.get("alg") not in issuer.algorithms:
            raise refusal("token_algorithm")
        key = self._key(issuer, header)
        # Tokens for an OAuth client, as Cognito issues them, have no audience.
        is_for_client = "aud" not in claimed and "client_id" in claimed
        try:
            claims = jwt.decode(
                raw,
                key,
                algorithms=[header["alg"]],
                audience=None if is_for_client else issuer.audiences,
                issuer=issuer.issuer,
                leeway=self._config.clock_skew_seconds,
                options=_DECODE,
            )
        except jwt.PyJWTError as exc:
            raise refusal(_reason(exc)) from exc
        except OverflowError as exc:
            raise refusal("token_claims") from exc
        if is_for_client and claims["client_id"] not in issuer.audiences:
            raise refusal("token_audience")
        return issuer, self._caller(issuer, raw)

    def _key(self, issuer: Issuer, header: Mapping[str, Any]) -> jwt.PyJWK:
        keys = self._keys[issuer.name]
        if keys.is_overdue():
            raise KeysNeededError(issuer.name)
        key = keys.find(header.get("kid"), header["alg"])
        if key is None:
            if keys.may_fetch():
                raise KeysNeededError(issuer.name)
            raise refusal("token_keys_unavailable" if keys.is_empty else "token_key_unknown")
        return key

    def _caller(self, issuer: Issuer, raw: bytes) -> Caller:
        # Read again: policies see numbers as the token has them.
        payload = jwt.utils.base64url_decode(raw.split(b".")[1])
        try:
            claims = decode_json(payload)
        except DocumentError as exc:
            raise refusal("token_malformed") from exc
        skew = self._config.clock_skew_seconds
        try:
            valid_from = max(float(claims.get(name, -math.inf)) for name in ("nbf", "iat"))
            valid_until = float(claims["exp"])
        except OverflowError as exc:
            raise refusal("token_claims") from exc
        return Caller(
            identity={"issuer": issuer.name, "claims": claims},
            valid_from=valid_from - skew,
            valid_until=valid_until + skew,
        )


def refusal(reason: str) -> IdentityError:
    """Return the error for a reason, with a sentence for the function's developer."""
    return IdentityError(reason, _MESSAGES[reason])


def _reason(error: jwt.PyJWTError) -> str:
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    return "token_malformed"


_REASONS: Final = (
    (jwt.InvalidSignatureError, "token_signature"),
    (jwt.ExpiredSignatureError, "token_expired"),
    (jwt.ImmatureSignatureError, "token_not_yet_valid"),
    (jwt.InvalidAudienceError, "token_audience"),
    (jwt.InvalidIssuerError, "token_issuer"),
    (jwt.InvalidAlgorithmError, "token_algorithm"),
    (jwt.InvalidKeyError, "token_signature"),
    (jwt.MissingRequiredClaimError, "token_claims"),
    (jwt.InvalidIssuedAtError, "token_claims"),
    (jwt.InvalidTokenError, "token_claims"),
)
