"""Keys that bundle signatures are verified with and tokens are signed with."""

from __future__ import annotations

from typing import ClassVar, Final

from policy_agent.config.section import Section
from policy_agent.record import Record

ALGORITHMS: Final = frozenset(
    f"{family}{bits}" for family in ("ES", "HS", "PS", "RS") for bits in (256, 384, 512)
)


class Key(Record, frozen=True):
    """A key; the algorithm is pinned here and never taken from a token.

    Attributes:
        key: to verify with, "" for a key that only signs or that comes from elsewhere.
        private_key: to sign with, "" for a key that only verifies.
        path: file with the key.
        jwks_url: of a set of keys, each known by its own `kid`.
        kms_key_id: of a key in AWS KMS.
        in_set: the id of the configured set that it came from.
    """

    unshown: ClassVar[frozenset[str]] = frozenset({"key", "private_key"})

    id: str
    key: str
    algorithm: str = "RS256"
    scope: str = ""
    private_key: str = ""
    path: str = ""
    jwks_url: str = ""
    kms_key_id: str = ""
    in_set: str = ""

    @property
    def can_verify(self) -> bool:
        """Whether it is there to verify with, once it has been fetched."""
        return bool(self.key or self.path or self.jwks_url or self.kms_key_id)


_ORIGINS: Final = ("key", "key_path", "jwks_url", "kms_key_id")


def read_key(section: Section, name: str) -> Key:
    """Read one entry of `keys`."""
    algorithm = section.text("algorithm", "RS256")
    if algorithm not in ALGORITHMS:
        section.problem("algorithm", f"must be one of {', '.join(sorted(ALGORITHMS))}")
    private_key = section.text("private_key")
    origins = [origin for origin in _ORIGINS if section.has(origin)]
    if len(origins) > 1:
        section.problem(origins[1], f"does not go together with {origins[0]}")
    key = Key(
        id=name,
        key=section.text("key", required=not (private_key or origins)),
        algorithm=algorithm,
        scope=section.text("scope"),
        private_key=private_key,
        path=section.text("key_path"),
        jwks_url=section.secure_url("jwks_url"),
        kms_key_id=section.text("kms_key_id"),
    )
    is_secret = algorithm.startswith("HS")
    if is_secret and (key.jwks_url or key.kms_key_id):
        section.problem("algorithm", "must be one with a public key")
    section.finish()
    return key
