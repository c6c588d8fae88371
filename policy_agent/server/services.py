"""What routes may use of the rest of the agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import Struct, field

from policy_agent.config import AuthZen, Server
from policy_agent.decision.decisions import Decisions
from policy_agent.model import JsonObject, Snapshot
from policy_agent.server.access import Access
from policy_agent.server.meter import Meter
from policy_agent.server.port_token import PortToken
from policy_agent.status import BundleStatus, DecisionLogStatus, State


class Overview(Protocol):
    """What the server may ask about the rest of the agent."""

    def health_failure(
        self,
        *,
        bundles: bool,
        plugins: bool,
        excluded: list[str],
        max_age_seconds: float | None,
    ) -> str:
        """Return why the agent is not healthy, "" when it is.

        Args:
            bundles: whether every bundle must be active.
            plugins: whether every component must be OK.
            excluded: components that do not count.
            max_age_seconds: how long ago a bundle's source may have last confirmed it.
        """

    def plugin_states(self) -> Mapping[str, State]:
        """Return component -> state, by OPA's names."""

    def were_plugins_ready(self) -> bool:
        """Whether all components are OK, or have been once."""

    @property
    def bundle_statuses(self) -> Mapping[str, BundleStatus]:
        """Return bundle name -> how it stands."""

    @property
    def decision_log_status(self) -> DecisionLogStatus | None:
        """Return how shipping stands, None without a decision log."""

    @property
    def own_cost(self) -> Mapping[str, float]:
        """Return what the agent takes of its function's time and memory, by name."""

    def config(self) -> JsonObject:
        """Return the settings in force, without secrets."""

    def syntax_tree(self, name: str, text: str, rego_version: int | None) -> JsonObject:
        """Return an active module as OPA's JSON."""

    def status(self) -> JsonObject | None:
        """Return the status payload, None when no status is configured."""


class Freshness(Protocol):
    """What keeps policies from deciding when they are older than allowed."""

    def is_stale(self) -> bool:
        """Whether `freshen` has something to do."""

    async def freshen(self) -> str:
        """Wait for fresh policies; return why there are none, "" when there are."""


class Explainer(Protocol):
    """What says how a decision came about; it takes long and is called in a worker thread."""

    def labels(self, snapshot: Snapshot, query: str, value: Any) -> list[JsonObject]:
        """Return the labels of the rules that held."""

    def explain(
        self, snapshot: Snapshot, query: str, value: Any, *, mode: str, pretty: bool
    ) -> bytes:
        """Return the trace of a query as OPA's JSON.

        Args:
            mode: `notes`, `fails`, `full` or `debug`.
            pretty: as lines of text.
        """


class Services(Struct, frozen=True):
    """The parts that answers are made of.

    Attributes:
        default_decision: what `POST /` asks, a path below `data`.
        show_decision_ids: whether answers name their decision, as OPA's do when it logs.
        authzen: which rules answer AuthZEN's requests, None when none do.
        explainer: makes explanations, None where there are none.
        access: who may ask, None when everybody may.
        meter: counts what was answered.
        port_token: what requests must bring; None for nothing.
    """

    decisions: Decisions
    overview: Overview
    freshness: Freshness
    limits: Server
    default_decision: str
    show_decision_ids: bool
    explainer: Explainer | None = None
    access: Access | None = None
    authzen: AuthZen | None = None
    meter: Meter = field(default_factory=Meter)
    port_token: PortToken | None = None
