"""The composition root: builds the parts and hands each what it needs of the others.

`extension` drives an agent by Lambda's events, `sidecar` by a clock; both see the same parts.
"""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial
from pathlib import Path

from policy_agent.bundle.manager import BundleManager
from policy_agent.config import Config
from policy_agent.decision.answers import Answers
from policy_agent.decision.callers import open_callers
from policy_agent.decision.decisions import Decisions
from policy_agent.decision_log.ids import new_decision_id
from policy_agent.decision_log.log import DecisionLog
from policy_agent.errors import TransportError
from policy_agent.explaining import Explainer
from policy_agent.model import Decision, Evaluator, JsonObject, Snapshot
from policy_agent.overview import AgentOverview
from policy_agent.own_cost import OwnCost
from policy_agent.rego import Policy
from policy_agent.rego.options import CompileOptions
from policy_agent.server.access import Access
from policy_agent.server.app import App
from policy_agent.server.port_token import PortToken
from policy_agent.server.routes import DIAGNOSTIC_ROUTES
from policy_agent.server.services import Services
from policy_agent.status import State
from policy_agent.status_report import StatusReporter

log = logging.getLogger(__name__)


class Agent:
    """All parts of one agent.

    Attributes:
        cost: what the agent has taken of its function's time and memory.
        invocation: of which decisions are part now, for their log entries; {} outside of any.
    """

    def __init__(
        self,
        config: Config,
        *,
        problem: str = "",
        authentication: str = "off",
        authorization: str = "off",
    ) -> None:
        """Build the parts; nothing is fetched yet.

        Args:
            problem: why `config` is not what the user asked for, "" when it is.
            authentication: how callers of the server are told apart: `off`, `token` or `tls`.
            authorization: `basic` to ask the policy about every request, or `off`.

        Raises:
            DecisionLogError: the spool's directory cannot be used.
        """
        for warning in config.warnings:
            log.warning("%s", warning)
        self.config = config
        self._problem = problem
        self.invocation: JsonObject = {}
        self._may_be_copied = False
        directory = Path(config.persistence_directory)
        options = CompileOptions(rego_version=config.rego_version)
        self.bundles = BundleManager(
            config.bundles,
            keys=config.keys,
            persistence_directory=directory,
            compile_policy=partial(Policy.from_modules, options=options),
            activate=self._activate,
        )
        self.decision_log: DecisionLog | None = None
        if config.decision_logs is not None:
            self.decision_log = DecisionLog(
                config.decision_logs,
                config.labels,
                directory,
                nd_builtin_cache=config.nd_builtin_cache,
                circumstances=self._circumstances,
            )
        self.cost = OwnCost(
            config.cost_metrics, config.labels.get("function", ""), self._shipped_bytes
        )
        self._reporter = StatusReporter(config.status) if config.status is not None else None
        self._callers = open_callers(config.identity) if config.identity is not None else None
        self.decisions = Decisions(
            self._record,
            new_decision_id,
            self._callers,
            self.decision_log.record_fulfilment if self.decision_log is not None else None,
            Answers(config.decision_cache_bytes) if config.decision_cache_bytes else None,
            self.decision_log.make_room if self.decision_log is not None else None,
        )
        self.overview = AgentOverview(config, self.bundles, self.decision_log, self.cost, problem)
        access = None
        if authorization == "basic":
            path = config.default_authorization_decision
            access = Access(self.decisions, path, authentication)
        services = Services(
            decisions=self.decisions,
            overview=self.overview,
            freshness=self.bundles,
            limits=config.server,
            default_decision=config.default_decision,
            show_decision_ids=self.decision_log is not None,
            explainer=Explainer(config.rego_version),
            access=access,
            authzen=config.authzen,
            port_token=PortToken.open(token) if (token := config.server.port_token) else None,
        )
        self.app = App(services)
        self.diagnostics = App(services, DIAGNOSTIC_ROUTES)

    @property
    def not_ready(self) -> str:
        """Why `/health?bundles&plugins` would fail, "" when it would not."""
        return self.overview.health_failure(
            bundles=True, plugins=True, excluded=[], max_age_seconds=None
        )

    async def start(self, timeout_seconds: float) -> None:
        """Load every bundle that can be had in time; what is missing is told by each decision."""
        async with asyncio.TaskGroup() as tasks:
            if self._callers is not None:
                tasks.create_task(self._callers.start(timeout_seconds), name="keys of issuers")
            await self.bundles.start(timeout_seconds)
        self._explain()

    async def refresh(self, timeout_seconds: float) -> None:
        """Fetch the bundles that are due and switch to them."""
        await self.bundles.refresh(timeout_seconds)
        self._explain()

    async def poll(self, name: str) -> None:
        """Wait for news of a long-polled bundle and switch to it."""
        await self.bundles.poll(name)
        self._explain()

    @property
    def backlog_events(self) -> int:
        """How many entries of the decision log wait to be shipped."""
        return self.decision_log.backlog_events if self.decision_log is not None else 0

    def finished(self, after_response_ms: float) -> None:
        """Note the end of an invocation, and how long it was held back after its response."""
        self.invocation = {}
        if self.decision_log is not None:
            self.decision_log.after_response_ms += after_response_ms
        self.cost.invocation_over(after_response_ms)

    @property
    def has_news(self) -> bool:
        """Whether there is anything else to send: news in the status, or the end of a stream."""
        logs = self.decision_log
        if logs is not None and logs.has_open_stream:
            return True
        return self._reporter is not None and self._reporter.is_due(self.overview.report())

    async def flush(
        self, budget_seconds: float, *, force: bool = False, is_last: bool = False
    ) -> None:
        """Ship what the decision log holds, then the status if it has changed.

        Args:
            budget_seconds: for both together.
            force: this is the end: try even a receiver that has just failed.
            is_last: the disk may go away as well.
        """
        deadline = time.monotonic() + budget_seconds
        if self.decision_log is not None:
            if force:
                self.decision_log.close_stream()
            report = await self.decision_log.flush(budget_seconds, force=force, is_last=is_last)
            if report.error:
                log.error("%s", report.error)
        remaining_seconds = deadline - time.monotonic()
        if self._reporter is None or remaining_seconds <= 0:
            return
        if self._reporter.is_due(status := self.overview.report()):
            try:
                await self._reporter.report(status, remaining_seconds)
            except TransportError as exc:
                log.error("status: %s", exc)

    def expect_copies(self) -> None:
        """Be ready to be copied by SnapStart at any moment until the first invocation begins.

        Nothing tells when that happens. Copies that went on with one stream would give the same
        numbers to different decisions, so until then each decision gets a stream of its own.
        """
        self._may_be_copied = True

    def begin_invocation(self, facts: JsonObject) -> None:
        """Note that decisions are part of this invocation from now on."""
        self.invocation = facts
        self._may_be_copied = False

    def close(self) -> None:
        """Release the policy engine and the spool, which stays on disk."""
        if self.decisions.snapshot is not None:
            self.decisions.snapshot.policy.close()
        if self.decision_log is not None:
            self.decision_log.close()

    @property
    def init_failure(self) -> str:
        """Why no policy is active after `start`, "" when one is."""
        return "" if self.decisions.snapshot is not None else self.decisions.unavailable

    def _circumstances(self) -> JsonObject:
        facts = {"bundles": self.bundles.provenance()}
        return {**facts, "lambda": self.invocation} if self.invocation else facts

    def _shipped_bytes(self) -> int:
        return self.decision_log.shipped_bytes if self.decision_log is not None else 0

    def _activate(self, snapshot: Snapshot) -> None:
        self.decisions.snapshot = snapshot

    def _record(self, decision: Decision, policy: Evaluator | None) -> None:
        if self.decision_log is not None:
            self.decision_log.record(decision, policy)
            if self._may_be_copied:
                self.decision_log.close_stream()

    def _explain(self) -> None:
        failures = [
            f"bundle {name}: {status.message or 'not loaded yet'}"
            for name, status in self.bundles.statuses.items()
            if status.state is State.NOT_READY
        ]
        reasons = [self._problem] if self._problem else failures or ["no bundles are configured"]
        self.decisions.unavailable = "no policy is active: " + "; ".join(reasons)
