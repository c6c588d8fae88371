"""Which rules answer OpenID AuthZEN's requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct, field

from policy_agent.config.section import Section

# AuthZEN Profile for Obligations 1.0, "Initial Registry Contents".
OBLIGATION_TYPES: Final = ("custom", "notification", "session_termination", "step-up")
SEARCHES: Final = ("subject", "resource", "action")


class AuthZen(Struct, frozen=True):
    """What of AuthZEN's API is served (Authorization API 1.0).

    Attributes:
        decision: path below `data` that answers evaluations.
        searches: `subject`, `resource` and `action` -> path of the entities found.
        supported_obligations: the types that policies may ask for.
        policy_decision_point: the agent's URL as callers know it, "" for the one they call.
    """

    decision: str
    searches: Mapping[str, str] = field(default_factory=dict)
    supported_obligations: tuple[str, ...] = OBLIGATION_TYPES
    policy_decision_point: str = ""


def read_authzen(section: Section) -> AuthZen:
    """Read `authzen`."""
    search = section.section("search")
    paths = {name: search.text(name).strip("/") for name in SEARCHES}
    types = section.texts("supported_obligations")
    if not section.has("supported_obligations"):
        types = OBLIGATION_TYPES
    if not set(types) <= set(OBLIGATION_TYPES):
        section.problem("supported_obligations", f"may be of {', '.join(OBLIGATION_TYPES)} only")
    authzen = AuthZen(
        decision=section.text("decision", required=True).strip("/"),
        searches={name: path for name, path in paths.items() if path},
        supported_obligations=types,
        policy_decision_point=section.text("policy_decision_point").rstrip("/"),
    )
    search.finish()
    section.finish()
    return authzen
