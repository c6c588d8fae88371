"""Run the agent as a plain sidecar: the same parts, driven by a clock until SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket

import uvloop

from policy_agent.agent import Agent
from policy_agent.config import Config, Delays
from policy_agent.periodic import working_by_clock
from policy_agent.server.serve import serving

log = logging.getLogger(__name__)

START_TIMEOUT_SECONDS = 30
STATUS_DELAYS = Delays(10, 20)  # between looks at the status where no decisions are shipped
SHUTDOWN_GRACE_SECONDS = 10  # OPA's --shutdown-grace-period


def run(config: Config, problem: str, listener: socket.socket) -> int:
    """Serve decisions on `listener` until SIGTERM or SIGINT, then ship what is left."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(config, problem, listener))


async def _run(config: Config, problem: str, listener: socket.socket) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    agent = Agent(config, problem=problem)
    try:
        async with serving(agent.app, [listener]):
            host, port = listener.getsockname()[:2]
            log.info("Listening on http://%s:%s", host, port)
            await agent.start(START_TIMEOUT_SECONDS)
            if agent.init_failure:
                log.error("%s", agent.init_failure)
            logs = config.decision_logs
            async with working_by_clock(agent, logs.reporting if logs else STATUS_DELAYS):
                await stop.wait()
        await agent.flush(SHUTDOWN_GRACE_SECONDS, force=True)
    finally:
        agent.close()
    return 0
