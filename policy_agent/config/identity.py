"""Whose tokens are accepted, and where the caller's token is found."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from msgspec import Struct

from policy_agent.config.section import Section
from policy_agent.record import Record

SYMMETRIC_ALGORITHMS: Final = frozenset(("HS256", "HS384", "HS512"))
TOKEN_ALGORITHMS: Final = SYMMETRIC_ALGORITHMS | frozenset(
    (*(f"{family}{bits}" for family in ("RS", "PS", "ES") for bits in (256, 384, 512)), "EdDSA")
)
_HEADER_NAME: Final = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")


class Issuer(Record, frozen=True):
    """One issuer of tokens; keys come from `jwks_url` or stand in `jwks`, never both.

    Attributes:
        name: the key under `identity.issuers`; what policies see as `input.identity.issuer`.
        issuer: the `iss` that its tokens have.
        audiences: of which a token must name one.
        algorithms: the only ones that count, whatever a token or a key says.
        jwks: a JSON Web Key Set (RFC 7517).
    """

    unshown: ClassVar[frozenset[str]] = frozenset({"jwks"})

    name: str
    issuer: str
    audiences: tuple[str, ...]
    algorithms: tuple[str, ...]
    jwks_url: str = ""
    jwks: Mapping[str, Any] | None = None


class Identity(Struct, frozen=True):
    """How callers are identified.

    Attributes:
        required: whether a decision without a token is refused.
        header: lower case; the request header that holds the token, "" when the input does.
        input_field: keys from the input's top to the token, () when a header holds it.
        clock_skew_seconds: how far the issuer's clock may be off.
        max_token_bytes: longer ones are refused unread.
        jwks_refresh_seconds: after which keys are fetched again.
        jwks_retry_seconds: the shortest time between two fetches, however many keys are unknown.
    """

    issuers: Mapping[str, Issuer]
    required: bool = True
    header: str = "authorization"
    input_field: tuple[str, ...] = ()
    clock_skew_seconds: float = 30
    max_token_bytes: int = 16384
    jwks_refresh_seconds: float = 3600
    jwks_retry_seconds: float = 30


def read_identity(section: Section) -> Identity:
    """Read `identity`."""
    issuers = {name: _issuer(entry, name) for name, entry in section.sections("issuers").items()}
    if not issuers:
        section.problem("issuers", "is required")
    for name, issuer in issuers.items():
        if any(o.issuer == issuer.issuer for n, o in issuers.items() if n < name):
            section.problem(f"issuers.{name}.issuer", "is the issuer of another entry, too")
    field_path = section.text("input_field")
    input_field = tuple(field_path.split(".")) if field_path else ()
    if not all(input_field) or input_field[:1] == ("identity",):
        section.problem("input_field", "must be keys joined by dots, not below identity")
    if input_field and section.has("header"):
        section.problem("input_field", "cannot stand beside header")
    header = section.text("header", "authorization").lower()
    if not _HEADER_NAME.fullmatch(header):
        section.problem("header", "must be the name of a header")
    identity = Identity(
        issuers=issuers,
        required=section.flag("required", default=True),
        header="" if input_field else header,
        input_field=input_field,
        clock_skew_seconds=section.number("clock_skew_seconds", 30),
        max_token_bytes=section.integer("max_token_bytes", 16384, at_least=1),
        jwks_refresh_seconds=section.number("jwks_refresh_seconds", 3600, at_least=1),
        jwks_retry_seconds=section.number("jwks_retry_seconds", 30, at_least=1),
    )
    section.finish()
    return identity


def _issuer(section: Section, name: str) -> Issuer:
    section.text("name")
    issuer = Issuer(
        name=name,
        issuer=section.text("issuer", required=True),
        audiences=section.texts("audiences"),
        algorithms=section.texts("algorithms") or ("RS256",),
        jwks_url=section.secure_url("jwks_url"),
        jwks=_jwks(section),
    )
    if not issuer.audiences:
        # Without it, a token that was meant for another service opens this one, too.
        section.problem("audiences", "must name at least one audience")
    algorithms = set(issuer.algorithms)
    if not algorithms <= TOKEN_ALGORITHMS:
        section.problem("algorithms", f"must be among {', '.join(sorted(TOKEN_ALGORITHMS))}")
    if algorithms & SYMMETRIC_ALGORITHMS and (algorithms - SYMMETRIC_ALGORITHMS or issuer.jwks_url):
        # A public key must never be taken for a shared secret.
        section.problem("algorithms", "HS* must stand alone, with secrets given in jwks")
    if bool(issuer.jwks_url) == (issuer.jwks is not None):
        section.problem("jwks_url", "there must be exactly one of jwks_url and jwks")
    section.finish()
    return issuer


def _jwks(section: Section) -> Mapping[str, Any] | None:
    value = section.value("jwks")
    if value is None:
        return None
    if not isinstance(value, Mapping) or not isinstance(value.get("keys"), list):
        section.problem("jwks", "must be a JSON Web Key Set: an object with a list of keys")
        return {}
    return value
