"""The composition root: builds the parts and hands each what it needs of the others.

`extension` drives an agent by Lambda's events, `sidecar` by a clock; both see the same parts.
"""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from policy_agent.bundle.manager import BundleManager
from policy_agent.config import Config
from policy_agent.decision.answers import Answers
from policy_agent.decision.callers import open_callers
from policy_agent.decision.decisions import Decisions
from policy_agent.decision_log.handover import Handover
from policy_agent.decision_log.ids import new_decision_id
from policy_agent.decision_log.log import DecisionLog
from policy_agent.errors import TransportError
from policy_agent.explaining import Explainer
from policy_agent.model import Decision, Evaluator, Fulfilment, JsonObject, Snapshot
from policy_agent.overview import AgentOverview
from policy_agent.own_cost import OwnCost
from policy_agent.rego import Policy
from policy_agent.rego.options import CompileOptions
from policy_agent.server.access import Access
from policy_agent.server.app import App
from policy_agent.server.meter import Meter
from policy_agent.server.port_token import PortToken
from policy_agent.server.routes import DIAGNOSTIC_ROUTES
from policy_agent.server.services import Services
from policy_agent.status import State
from policy_agent.status_report import StatusReporter

if TYPE_CHECKING:
    from policy_agent.discovery import Discovery

log = logging.getLogger(__name__)


class Agent:
    """All parts of one agent.

    Attributes:
        config: the settings in force; with discovery they change.
        discovery: None when nothing is discovered.
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
        self._bundled = config
        self.discovery = _open_discovery(config)
        self.decision_log = self._open_log(config)
        self._handover = Handover()
        self.cost = OwnCost(
            config.cost_metrics, config.labels.get("function", ""), self._shipped_bytes
        )
        self._reporter = StatusReporter(config.status) if config.status is not None else None
        self._callers = open_callers(config.identity) if config.identity is not None else None
        self.decisions = Decisions(
            self._record,
            new_decision_id,
            self._callers,
            self._record_fulfilment,
            _answers(config),
            self._make_room,
        )
        self.overview = AgentOverview(
            config, self.bundles, self.discovery, self.decision_log, self.cost, problem
        )
        self._authentication = authentication if authorization == "basic" else None
        self._explainer = Explainer(config.rego_version)
        self._meter = Meter()
        self._port_token = PortToken.open(token) if (token := config.server.port_token) else None
        services = self._services(config)
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
        config = self.config
        async with asyncio.TaskGroup() as tasks:
            if self._callers is not None:
                tasks.create_task(self._callers.start(timeout_seconds), name="keys of issuers")
            if self.discovery is not None:
                began = time.monotonic()
                # The bundles that it names have to be fetched as well.
                await self.discovery.start(timeout_seconds / 2)
                timeout_seconds -= time.monotonic() - began
                await self._take_discovered(self.discovery, timeout_seconds)
            if self._bundled is config:
                await self.bundles.start(timeout_seconds)
        self._explain()

    async def refresh(self, timeout_seconds: float) -> None:
        """Fetch the bundles that are due and switch to them; the configuration likewise."""
        async with asyncio.TaskGroup() as tasks:
            if self.discovery is not None:
                discovering = self._rediscover(self.discovery, timeout_seconds)
                tasks.create_task(discovering, name="discovery")
            await self.bundles.refresh(timeout_seconds)
        self._explain()

    def due(self) -> bool:
        """Tell whether `refresh` has something to do now."""
        return self.seconds_until_due() == 0

    def seconds_until_due(self) -> float | None:
        """Return how long until `refresh` has something to do, None when it never will."""
        delays = [self.bundles.seconds_until_due()]
        if self.discovery is not None:
            delays.append(self.discovery.seconds_until_due())
        return min((delay for delay in delays if delay is not None), default=None)

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
        self._handover.settle(self.decision_log)
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
        self._handover.close()
        if self.decision_log is not None:
            self.decision_log.close()

    @property
    def init_failure(self) -> str:
        """Why no policy is active after `start`, "" when one is."""
        return "" if self.decisions.snapshot is not None else self.decisions.unavailable

    def _circumstances(self) -> JsonObject:
        facts = {"bundles": self.bundles.provenance()}
        return {**facts, "lambda": self.invocation} if self.invocation else facts

    def _services(self, config: Config) -> Services:
        access = None
        if self._authentication is not None:
            path = config.default_authorization_decision
            access = Access(self.decisions, path, self._authentication)
        return Services(
            decisions=self.decisions,
            overview=self.overview,
            freshness=self.bundles,
            limits=config.server,
            default_decision=config.default_decision,
            show_decision_ids=config.decision_logs is not None,
            explainer=self._explainer,
            access=access,
            authzen=config.authzen,
            meter=self._meter,
            port_token=self._port_token,
        )

    async def _rediscover(self, discovery: Discovery, timeout_seconds: float) -> None:
        began = time.monotonic()
        await discovery.refresh(timeout_seconds)
        await self._take_discovered(discovery, timeout_seconds - (time.monotonic() - began))

    async def _take_discovered(self, discovery: Discovery, timeout_seconds: float) -> None:
        """Put the newest configuration in force; what was cut short is taken up again."""
        config = discovery.config
        if config is self._bundled:
            return
        if config != self.config:
            await self._use(config, timeout_seconds)
        await self.bundles.reconfigure(config.bundles, config.keys, max(timeout_seconds, 0))
        self._bundled = config

    async def _use(self, config: Config, timeout_seconds: float) -> None:
        """Build what is configured otherwise and use it from the next request on."""
        old = self.config
        callers = self._callers
        if config.identity != old.identity:
            callers = open_callers(config.identity) if config.identity is not None else None
            if callers is not None:
                await callers.start(timeout_seconds)
        if _logging_of(config) != _logging_of(old):
            before, self.decision_log = self.decision_log, self._open_log(config)
            if before is not None:
                self._handover.begin(before, self.decision_log)
        if config.status != old.status:
            self._reporter = StatusReporter(config.status) if config.status is not None else None
        self._callers = self.decisions.callers = callers
        if config.decision_cache_bytes != old.decision_cache_bytes:
            self.decisions.answers = _answers(config)
        self.cost.use(config.cost_metrics, config.labels.get("function", ""))
        self.overview.use(config, self.decision_log)
        services = self._services(config)
        self.app.use(services)
        self.diagnostics.use(services)
        self.config = config

    def _open_log(self, config: Config) -> DecisionLog | None:
        if config.decision_logs is None:
            return None
        directory = Path(config.persistence_directory)
        return DecisionLog(
            config.decision_logs,
            config.labels,
            directory,
            nd_builtin_cache=config.nd_builtin_cache,
            circumstances=self._circumstances,
        )

    def _shipped_bytes(self) -> int:
        now = self.decision_log.shipped_bytes if self.decision_log is not None else 0
        return self._handover.shipped_bytes + now

    def _activate(self, snapshot: Snapshot | None) -> None:
        self.decisions.snapshot = snapshot

    def _record_fulfilment(self, fulfilment: Fulfilment) -> None:
        if self.decision_log is not None:
            self.decision_log.record_fulfilment(fulfilment)

    async def _make_room(self) -> bool:
        return self.decision_log is not None and await self.decision_log.make_room()

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
        if self.discovery is not None and self.discovery.status.code:
            failures.insert(0, f"discovery: {self.discovery.status.message}")
        reasons = [self._problem] if self._problem else failures or ["no bundles are configured"]
        self.decisions.unavailable = "no policy is active: " + "; ".join(reasons)


def _logging_of(config: Config) -> tuple[object, ...]:
    return config.decision_logs, config.labels, config.nd_builtin_cache


def _answers(config: Config) -> Answers | None:
    return Answers(config.decision_cache_bytes) if config.decision_cache_bytes else None


def _open_discovery(config: Config) -> Discovery | None:
    if config.discovery is None:
        return None
    # Late: most agents discover nothing.
    from policy_agent.discovery import Discovery

    return Discovery(config)
