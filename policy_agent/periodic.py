"""What an agent repeats by a clock where nothing is ever frozen: refresh bundles, ship the log."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from policy_agent.agent import Agent
from policy_agent.config import Delays

REFRESH_TIMEOUT_SECONDS = 60
FLUSH_BUDGET_SECONDS = 30


@asynccontextmanager
async def working_by_clock(agent: Agent, shipping: Callable[[], Delays]) -> AsyncIterator[None]:
    """Refresh bundles when they are due and ship after each of `shipping`'s delays, until the end.

    The first round ships what a predecessor left behind.

    Args:
        shipping: asked each time, since the settings may change.
    """
    async with asyncio.TaskGroup() as tasks:
        loops = [tasks.create_task(loop) for loop in (_refresh(agent), _ship(agent, shipping))]
        try:
            yield
        finally:
            for task in loops:
                task.cancel()


async def _refresh(agent: Agent) -> None:
    async with asyncio.TaskGroup() as tasks:
        polls: dict[str, asyncio.Task[None]] = {}
        while True:
            # Those of bundles that have gone end by themselves.
            polls = {name: task for name, task in polls.items() if not task.done()}
            for name in set(agent.bundles.long_polled) - polls.keys():
                polls[name] = tasks.create_task(_poll(agent, name))
            if (delay_seconds := agent.seconds_until_due()) is None:
                break
            await asyncio.sleep(delay_seconds)
            await agent.refresh(REFRESH_TIMEOUT_SECONDS)


async def _poll(agent: Agent, name: str) -> None:
    while name in agent.bundles.long_polled:
        await agent.poll(name)


async def _ship(agent: Agent, shipping: Callable[[], Delays]) -> None:
    while True:
        await agent.flush(FLUSH_BUDGET_SECONDS)
        agent.cost.note_shipped()
        agent.cost.tell_when_due()
        delays = shipping()
        await asyncio.sleep(random.uniform(delays.min_seconds, delays.max_seconds))  # noqa: S311
