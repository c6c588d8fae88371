"""Run the agent as a plain sidecar: the same parts, driven by a clock until SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import socket

import uvloop

from policy_agent.agent import Agent
from policy_agent.config import Config, Delays
from policy_agent.server.serve import serving

log = logging.getLogger(__name__)

START_TIMEOUT_SECONDS = 30
REFRESH_TIMEOUT_SECONDS = 60
FLUSH_BUDGET_SECONDS = 30
REPORT_DELAYS = Delays(10, 20)  # between looks at the status where no decisions are shipped
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
            await _until_stopped(agent, stop)
        await agent.flush(SHUTDOWN_GRACE_SECONDS, force=True)
    finally:
        agent.close()
    return 0


async def _until_stopped(agent: Agent, stop: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as tasks:
        work = [_refresh_bundles(agent), _ship(agent)]
        work += [_poll(agent, name) for name in agent.bundles.long_polled]
        loops = [tasks.create_task(loop) for loop in work]
        await stop.wait()
        for task in loops:
            task.cancel()


async def _refresh_bundles(agent: Agent) -> None:
    while (delay_seconds := agent.bundles.seconds_until_due()) is not None:
        await asyncio.sleep(delay_seconds)
        await agent.refresh(REFRESH_TIMEOUT_SECONDS)


async def _poll(agent: Agent, name: str) -> None:
    while True:
        await agent.poll(name)


async def _ship(agent: Agent) -> None:
    logs = agent.config.decision_logs
    delays = logs.reporting if logs is not None else REPORT_DELAYS
    while True:
        # The first round ships what a predecessor left behind.
        await agent.flush(FLUSH_BUDGET_SECONDS)
        await asyncio.sleep(random.uniform(delays.min_seconds, delays.max_seconds))  # noqa: S311
