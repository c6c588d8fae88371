"""Run the agent as a plain sidecar: the same parts, driven by a clock until SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

import uvloop
from msgspec import Struct

from policy_agent.agent import Agent
from policy_agent.config import Config, Delays
from policy_agent.errors import PolicyAgentError
from policy_agent.listening import Listener
from policy_agent.model import JsonObject
from policy_agent.periodic import working_by_clock
from policy_agent.server.app import App
from policy_agent.server.serve import Secure, serving

if TYPE_CHECKING:
    from policy_agent.server.tls import ServerTls

log = logging.getLogger(__name__)

START_TIMEOUT_SECONDS = 30
STATUS_DELAYS = Delays(10, 20)  # between looks at the status where no decisions are shipped


class Sidecar(Struct, frozen=True):
    """What the command line decides, by OPA's flags.

    Attributes:
        listeners: where everything is served.
        diagnostics: where health and metrics alone are.
        tls: for the listeners that are secure.
        ready_timeout_seconds: how long to wait for bundles before serving; 0 serves at once.
        grace_seconds: for shipping what is left.
        wait_seconds: between SIGTERM and the end of serving.
    """

    listeners: Sequence[Listener]
    diagnostics: Sequence[Listener] = ()
    tls: ServerTls | None = None
    tls_refresh_seconds: float = 10
    authentication: str = "off"
    authorization: str = "off"
    ready_timeout_seconds: int = 0
    grace_seconds: int = 10
    wait_seconds: int = 0


def run(config: Config, problem: str, sidecar: Sidecar) -> int:
    """Serve decisions until SIGTERM or SIGINT, then ship what is left; return the exit status."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(config, problem, sidecar))


async def _run(config: Config, problem: str, sidecar: Sidecar) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    if sidecar.authentication != "off" and sidecar.authorization == "off":
        log.warning("--authentication has no effect without --authorization=basic")
    agent = Agent(
        config,
        problem=problem,
        authentication=sidecar.authentication,
        authorization=sidecar.authorization,
    )
    try:
        if sidecar.ready_timeout_seconds:
            await agent.start(sidecar.ready_timeout_seconds)
            if failure := agent.not_ready:
                raise PolicyAgentError(f"not ready in {sidecar.ready_timeout_seconds} s: {failure}")
        async with _serving(agent, sidecar):
            if not sidecar.ready_timeout_seconds:
                await agent.start(START_TIMEOUT_SECONDS)
            if agent.init_failure:
                log.error("%s", agent.init_failure)
            async with working_by_clock(agent, lambda: _delays_of(agent)):
                await stop.wait()
                await asyncio.sleep(sidecar.wait_seconds)
        await agent.flush(sidecar.grace_seconds, force=True)
    finally:
        agent.close()
    return 0


def _delays_of(agent: Agent) -> Delays:
    logs = agent.config.decision_logs
    return logs.reporting if logs is not None else STATUS_DELAYS


@contextlib.asynccontextmanager
async def _serving(agent: Agent, sidecar: Sidecar) -> AsyncIterator[None]:
    secure = None
    async with contextlib.AsyncExitStack() as stack:
        if sidecar.tls is not None:
            from policy_agent.server.tls import identify_by

            secure = Secure(sidecar.tls.context, identify_by(describe_certificate))
            refreshing = asyncio.create_task(sidecar.tls.keep_fresh(sidecar.tls_refresh_seconds))
            stack.callback(refreshing.cancel)
        for app, listeners in (
            (agent.app, sidecar.listeners),
            (agent.diagnostics, sidecar.diagnostics),
        ):
            await _serve(stack, app, listeners, secure)
        yield


async def _serve(
    stack: contextlib.AsyncExitStack,
    app: App,
    listeners: Sequence[Listener],
    secure: Secure | None,
) -> None:
    for is_secure in (False, True):
        chosen = [each for each in listeners if each.is_secure is is_secure]
        if not chosen:
            continue
        sockets = [each.sock for each in chosen]
        await stack.enter_async_context(serving(app, sockets, secure if is_secure else None))
        for each in chosen:
            log.info("Listening on %s", each.url)


def describe_certificate(raw: bytes) -> JsonObject:
    """Return a DER certificate as OPA's JSON."""
    # Late: only clients with certificates need it.
    from cryptography import x509

    from policy_agent.rego.builtins.x509_json import certificate_json

    return certificate_json(x509.load_der_x509_certificate(raw))
