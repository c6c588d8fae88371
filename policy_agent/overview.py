"""What an agent tells of itself: health, status, settings. Reads the parts and changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec.structs import replace

from policy_agent.bundle.manager import BundleManager
from policy_agent.config import Config, active_document
from policy_agent.decision_log.log import DecisionLog
from policy_agent.model import JsonObject
from policy_agent.own_cost import OwnCost
from policy_agent.status import BundleStatus, DecisionLogStatus, State

if TYPE_CHECKING:
    from policy_agent.discovery import Discovery


class AgentOverview:
    """The answers of `/health`, `/v1/status`, `/v1/config` and `/metrics`.

    Args:
        problem: why the settings are not what the user asked for, "" when they are.
    """

    def __init__(
        self,
        config: Config,
        bundles: BundleManager,
        discovery: Discovery | None,
        decision_log: DecisionLog | None,
        cost: OwnCost,
        problem: str,
    ) -> None:
        self._config = config
        self._bundles = bundles
        self._discovery = discovery
        self._decision_log = decision_log
        self._cost = cost
        self._problem = problem
        self._were_ready = False

    def use(self, config: Config, decision_log: DecisionLog | None) -> None:
        """Tell of other settings from now on."""
        self._config = config
        self._decision_log = decision_log

    def health_failure(
        self,
        *,
        bundles: bool,
        plugins: bool,
        excluded: list[str],
        max_age_seconds: float | None,
    ) -> str:
        """Return why the agent is not healthy in OPA's words, "" when it is."""
        if self._problem:
            return self._problem
        waiting = [
            name for name, status in self.bundle_statuses.items() if status.state is State.NOT_READY
        ]
        if bundles and waiting:
            return f"one or more bundles are not activated: {', '.join(sorted(waiting))}"
        if max_age_seconds is not None and (old := self._bundles.older_than(max_age_seconds)):
            names = ", ".join(sorted(old))
            return f"one or more bundles are older than {max_age_seconds:g} s: {names}"
        states = self.plugin_states()
        if plugins and any(
            state is not State.OK for name, state in states.items() if name not in excluded
        ):
            return "one or more plugins are not up"
        return ""

    def plugin_states(self) -> dict[str, State]:
        """Return component -> state, by OPA's names."""
        states = {}
        if statuses := self.bundle_statuses:
            ready = all(status.state is State.OK for status in statuses.values())
            states["bundle"] = State.OK if ready else State.NOT_READY
        if self._discovery is not None:
            states["discovery"] = self._discovery.status.state
        if self._decision_log is not None:
            states["decision_logs"] = State.OK
        if self._config.status is not None:
            states["status"] = State.OK
        return states

    def were_plugins_ready(self) -> bool:
        """Whether all components are OK, or have been once when this was asked."""
        states = self.plugin_states().values()
        self._were_ready = self._were_ready or all(state is State.OK for state in states)
        return self._were_ready

    @property
    def bundle_statuses(self) -> Mapping[str, BundleStatus]:
        """Return bundle name -> how it stands."""
        return self._bundles.statuses

    @property
    def decision_log_status(self) -> DecisionLogStatus | None:
        """Return how shipping stands, None without a decision log."""
        if self._decision_log is None:
            return None
        status = self._decision_log.status
        held_back = {"after_response_ms": round(self._cost.post_runtime_ms)}
        return replace(status, counters={**status.counters, **held_back})

    @property
    def own_cost(self) -> Mapping[str, float]:
        """Return what the agent takes of its function's time and memory, by name."""
        return self._cost.to_json()

    def status(self) -> JsonObject | None:
        """Return OPA's status payload, None when no status is configured."""
        return self.report() if self._config.status is not None else None

    def report(self) -> JsonObject:
        """Return OPA's status payload."""
        body: JsonObject = {
            "labels": dict(self._config.labels),
            "bundles": {name: status.to_json() for name, status in self.bundle_statuses.items()},
            "plugins": {
                name: {"state": str(state)} for name, state in self.plugin_states().items()
            },
        }
        if self._discovery is not None:
            body["discovery"] = self._discovery.status.to_json()
        if (decision_logs := self.decision_log_status) is not None:
            body["decision_logs"] = decision_logs.to_json()
        # OPA puts what it measures under `metrics.prometheus`.
        body["metrics"] = {"policy_agent": dict(self.own_cost)}
        return body

    def config(self) -> JsonObject:
        """Return the settings in force, without secrets."""
        return active_document(self._config)

    def syntax_tree(self, name: str, text: str, rego_version: int | None) -> JsonObject:
        """Return an active module as OPA's JSON.

        Args:
            name: of its file.
            text: Rego.
            rego_version: what its bundle's manifest says, None when it says nothing.
        """
        # Late: an agent that only runs ready plans needs no parser.
        from policy_agent.rego.ast_json import module_to_json
        from policy_agent.rego.parse import parse_module

        version = rego_version if rego_version is not None else self._config.rego_version
        return module_to_json(parse_module(name, text, v0=version == 0), comments=False)
