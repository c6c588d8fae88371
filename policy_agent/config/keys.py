"""Keys that bundle signatures are verified with and tokens are signed with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from policy_agent.config.section import Section

ALGORITHMS: Final = frozenset(
    f"{family}{bits}" for family in ("ES", "HS", "PS", "RS") for bits in (256, 384, 512)
)


@dataclass(frozen=True, slots=True)
class Key:
    """A key; the algorithm is pinned here and never taken from a token.

    Attributes:
        key: to verify with, "" for a key that only signs.
        private_key: to sign with, "" for a key that only verifies.
    """

    id: str
    key: str = field(repr=False)
    algorithm: str = "RS256"
    scope: str = ""
    private_key: str = field(default="", repr=False)


def read_key(section: Section, name: str) -> Key:
    """Read one entry of `keys`."""
    algorithm = section.text("algorithm", "RS256")
    if algorithm not in ALGORITHMS:
        section.problem("algorithm", f"must be one of {', '.join(sorted(ALGORITHMS))}")
    private_key = section.text("private_key")
    key = section.text("key", required=not private_key)
    scope = section.text("scope")
    section.finish()
    return Key(id=name, key=key, algorithm=algorithm, scope=scope, private_key=private_key)
