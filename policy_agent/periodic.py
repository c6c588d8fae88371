"""What an agent repeats by a clock where nothing is ever frozen: refresh bundles, ship the log."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from policy_agent.agent import Agent
from policy_agent.config import Delays

REFRESH_TIMEOUT_SECONDS = 60
FLUSH_BUDGET_SECONDS = 30


@asynccontextmanager
async def working_by_clock(agent: Agent, shipping: Delays) -> AsyncIterator[None]:
    """Refresh bundles when they are due and ship after each of `shipping`'s delays, until the end.

    The first round ships what a predecessor left behind.
    """
    async with asyncio.TaskGroup() as tasks:
        work = [_refresh(agent), _ship(agent, shipping)]
        work += [_poll(agent, name) for name in agent.bundles.long_polled]
        loops = [tasks.create_task(loop) for loop in work]
        try:
            yield
        finally:
            for task in loops:
                task.cancel()


async def _refresh(agent: Agent) -> None:
    while (delay_seconds := agent.bundles.seconds_until_due()) is not None:
        await asyncio.sleep(delay_seconds)
        await agent.refresh(REFRESH_TIMEOUT_SECONDS)


async def _poll(agent: Agent, name: str) -> None:
    while True:
        await agent.poll(name)


async def _ship(agent: Agent, delays: Delays) -> None:
    while True:
        await agent.flush(FLUSH_BUDGET_SECONDS)
        agent.cost.note_shipped()
        agent.cost.tell_when_due()
        await asyncio.sleep(random.uniform(delays.min_seconds, delays.max_seconds))  # noqa: S311
