"""A whole agent on a real socket, in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from policy_agent.agent import Agent
from policy_agent.config import parse_config
from policy_agent.server.serve import serving
from tests.support import ControlPlane, make_bundle


class RunningAgent:
    """An agent that serves `url`, and what a test may do with it."""

    def __init__(self, agent: Agent, loop: asyncio.AbstractEventLoop, url: str) -> None:
        self.agent = agent
        self.url = url
        self._loop = loop
        self.client = httpx.Client(base_url=url, verify=False)

    def decide(self, path: str, input: Any, **headers: str) -> dict[str, Any]:
        """Ask as a function does; header names with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.client.post(f"/v1/data/{path}", json={"input": input}, headers=named)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def call(self, coroutine: Any) -> Any:
        """Run a coroutine on the agent's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)


@contextlib.contextmanager
def running_agent(
    plane: ControlPlane,
    directory: Any,
    rego: str,
    *,
    files: Mapping[str, str] | None = None,
    **sections: Any,
) -> Iterator[RunningAgent]:
    """Run an agent with one bundle whose decisions go to `plane`.

    Args:
        rego: the bundle's only module.
        files: what else is in the bundle.
        sections: further sections of the configuration.
    """
    plane.bundles["app"] = make_bundle({"app.rego": rego, **(files or {})}, revision="r1")
    document = {
        "services": {"plane": {"url": plane.url}},
        "bundles": {"app": {}},
        "decision_logs": {},
        "persistence_directory": str(directory),
        **sections,
    }
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    loop, ready, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    agents = []

    async def serve() -> None:
        agent = Agent(parse_config(document))
        agents.append(agent)
        try:
            await agent.start(5)
            async with serving(agent.app, [listener]):
                ready.set()
                await stop.wait()
        finally:
            ready.set()
            agent.close()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait(10)
    running = RunningAgent(agents[0], loop, url)
    try:
        yield running
    finally:
        running.client.close()
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
