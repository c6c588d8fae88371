"""Run the agent as a Lambda extension, from register to SHUTDOWN."""

from __future__ import annotations

import _socket
import asyncio
import gc
import logging
import os
import socket
from collections.abc import Coroutine
from typing import Any

import uvloop
from msgspec.structs import replace

from policy_agent.agent import Agent
from policy_agent.config import Config, Delays, default_config, parse_config
from policy_agent.config.source import read_document
from policy_agent.errors import ConfigError, ExtensionsApiError, PolicyAgentError
from policy_agent.lifecycle.api import Event, ExtensionsApi
from policy_agent.lifecycle.bootstrap import ADDRESS_VARIABLE, DEFAULT_ADDRESS, Registration, listen
from policy_agent.lifecycle.flush_control import FlushDecision, Plan
from policy_agent.lifecycle.loop import ExtensionLoop
from policy_agent.lifecycle.telemetry import FinishedRequests, TelemetryListener
from policy_agent.logs import LEVELS, configure_logging
from policy_agent.model import JsonObject
from policy_agent.periodic import working_by_clock
from policy_agent.server.serve import serving
from policy_agent.trace_context import read_trace

log = logging.getLogger(__name__)

INITIALIZATION_TYPE_VARIABLE = "AWS_LAMBDA_INITIALIZATION_TYPE"
SNAP_START = "snap-start"
LOG_LEVEL_VARIABLE = "POLICY_AGENT_LOG_LEVEL"
# Of the 10 s that Lambda gives to Init; the function's own share must not suffer.
INIT_TIMEOUT_SECONDS = 5
REFRESH_TIMEOUT_SECONDS = 10
# Where nothing tells when a function has answered.
CONTINUOUS_SHIPPING = Delays(5, 10)
# After a reset the predecessor's port may stay bound for a moment.
BIND_ATTEMPTS = 50
BIND_PAUSE_SECONDS = 0.1


def run(registration: Registration, listener: _socket.socket | None) -> int:
    """Serve decisions until SHUTDOWN and return the exit status."""
    level = os.environ.get(LOG_LEVEL_VARIABLE, "info").lower()
    configure_logging(level if level in LEVELS else "info")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(registration, listener))


async def _run(registration: Registration, listener: _socket.socket | None) -> int:
    api = ExtensionsApi(registration)
    config, problem = read_config()
    agent = Agent(config, problem=problem)
    if os.environ.get(INITIALIZATION_TYPE_VARIABLE) == SNAP_START:
        agent.expect_copies()
    try:
        await agent.start(INIT_TIMEOUT_SECONDS)
        if agent.init_failure:
            log.error("%s", agent.init_failure)
            if config.on_init_failure == "fail":
                await api.report("init", PolicyAgentError(agent.init_failure))
                return 1
        async with serving(agent.app, [await _socket_of(listener)]):
            # Off since the bootstrap; what there is now lives as long as the process.
            gc.freeze()
            gc.enable()
            agent.cost.ready(registration.started_ns, registration.register_ms)
            if "INVOKE" in registration.events:
                return await _work_by_events(agent, api)
            return await _work_by_clock(agent, api)
    finally:
        agent.close()


async def _work_by_events(agent: Agent, api: ExtensionsApi) -> int:
    telemetry = FinishedRequests()
    receiver = TelemetryListener(telemetry)
    try:
        finished = telemetry if await _subscribe(api, receiver) else None
        return await _handle_events(
            ExtensionLoop(api, _Work(agent), finished, lambda: _plan_of(agent)), api
        )
    finally:
        receiver.close()


def _plan_of(agent: Agent) -> Plan:
    logs = agent.config.decision_logs
    return Plan(logs.strategy, logs.interval_seconds) if logs is not None else Plan()


async def _work_by_clock(agent: Agent, api: ExtensionsApi) -> int:
    """Managed Instances: invocations overlap and are not told, and nothing is ever frozen."""
    async with working_by_clock(agent, lambda: CONTINUOUS_SHIPPING):
        return await _handle_events(ExtensionLoop(api, _Work(agent), None), api)


def read_config() -> tuple[Config, str]:
    """Return the settings, or defaults and what is wrong with those that were given."""
    try:
        config, problem = parse_config(read_document(os.environ)), ""
    except ConfigError as exc:
        for sentence in exc.problems:
            log.error("configuration: %s", sentence)
        config, problem = default_config(), f"configuration: {exc}"
    # The auditor asks by function; the function's name is the one label nobody should have to set.
    name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
    if name and "function" not in config.labels:
        config = replace(config, labels={**config.labels, "function": name})
    return config, problem


async def _subscribe(api: ExtensionsApi, receiver: TelemetryListener) -> bool:
    try:
        await api.subscribe(await receiver.start())
    except (ExtensionsApiError, OSError) as exc:
        log.info("No telemetry (%s); decisions are shipped at the next event instead", exc)
        return False
    return True


async def _socket_of(listener: _socket.socket | None) -> socket.socket:
    address = os.environ.get(ADDRESS_VARIABLE, DEFAULT_ADDRESS)
    for _ in range(BIND_ATTEMPTS):
        if listener is not None:
            sock = socket.socket(fileno=listener.detach())
            sock.setblocking(False)
            return sock
        await asyncio.sleep(BIND_PAUSE_SECONDS)
        listener = listen(address)
    raise ConfigError([f"{ADDRESS_VARIABLE}: cannot listen on {address}"])


async def _handle_events(loop: ExtensionLoop, api: ExtensionsApi) -> int:
    while True:
        try:
            await loop.run()
        except ExtensionsApiError as exc:
            log.exception("Lambda refused the extension")
            await _report_exit(api, exc)
            return 1
        except Exception:
            # An extension that exits fails the invocation; one event less is the smaller harm.
            log.exception("An event failed unexpectedly")
        else:
            return 0


async def _report_exit(api: ExtensionsApi, error: ExtensionsApiError) -> None:
    try:
        await api.report("exit", error)
    except ExtensionsApiError:
        log.exception("Lambda refused the report, too")


class _Work:
    """Maps the loop's moments to the agent's parts."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    @property
    def backlog_events(self) -> int:
        return self._agent.backlog_events

    @property
    def has_news(self) -> bool:
        return self._agent.has_news

    def invoked(self, event: Event) -> None:
        log.debug("Invocation %s", event.request_id)
        self._agent.begin_invocation(_facts_of(event))

    def finished(self, after_response_ms: float) -> None:
        self._agent.finished(after_response_ms)

    def ended(self, shutdown_ms: float) -> None:
        self._agent.cost.ended(shutdown_ms)

    def due_refresh(self) -> Coroutine[Any, Any, None] | None:
        if not self._agent.due():
            return None
        return self._agent.refresh(REFRESH_TIMEOUT_SECONDS)

    async def flush(self, decision: FlushDecision) -> None:
        await self._agent.flush(
            decision.budget_seconds, force=decision.force, is_last=decision.force
        )


def _facts_of(event: Event) -> JsonObject:
    facts: JsonObject = {
        "request_id": event.request_id,
        "function_arn": event.invoked_function_arn,
        "function_version": os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", ""),
        **read_trace("", (event.tracing or {}).get("value", "")),
    }
    return {name: value for name, value in facts.items() if value}
