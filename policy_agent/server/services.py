"""What routes may use of the rest of the agent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from policy_agent.config import Server
from policy_agent.decision.decisions import Decisions
from policy_agent.model import JsonObject


class Overview(Protocol):
    """What the server may ask about the rest of the agent."""

    def health_failure(self, *, bundles: bool, plugins: bool, excluded: list[str]) -> str:
        """Return why the agent is not healthy, "" when it is."""

    def status(self) -> JsonObject | None:
        """Return the status payload, None when no status is configured."""


class Freshness(Protocol):
    """What keeps policies from deciding when they are older than allowed."""

    def is_stale(self) -> bool:
        """Whether `freshen` has something to do."""

    async def freshen(self) -> str:
        """Wait for fresh policies; return why there are none, "" when there are."""


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that answers are made of.

    Attributes:
        default_decision: what `POST /` asks, a path below `data`.
        show_decision_ids: whether answers name their decision, as OPA's do when it logs.
    """

    decisions: Decisions
    overview: Overview
    freshness: Freshness
    limits: Server
    default_decision: str
    show_decision_ids: bool
