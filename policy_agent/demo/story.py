"""Play the scenes and count decisions twice: in the function's own log and in the store."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from policy_agent.demo.requests import Caller, read_order, refund_order
from policy_agent.demo.stage import Server, free_port, get_json, publish, run_cli
from policy_agent.emulator.sandbox import LocalLambda
from policy_agent.emulator.settings import LambdaSettings
from policy_agent.model import JsonObject

EXTENSION = "policy-agent"
MAX_AGE_SECONDS = 0.5
STORE_SECONDS = 30
_DECISION_LINE = re.compile(r"decision ([0-9a-f-]{36}) ")

CAROL = Caller("carol", "customer")
DAVE = Caller("dave", "customer", region="us")
SUE = Caller("sue", "support")
MIA = Caller("mia", "manager")
REX = Caller("rex", "courier")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Count:
    """Decisions as the function logged them against those in the store."""

    decisions: int
    stored: int
    missing: int
    duplicates: int

    @property
    def agrees(self) -> bool:
        """Whether both sides saw exactly the same decisions."""
        same = self.decisions == self.stored and not self.missing and not self.duplicates
        return same and self.decisions > 0

    def __str__(self) -> str:
        return (
            f"decisions={self.decisions} stored={self.stored} "
            f"missing={self.missing} duplicates={self.duplicates}"
        )


@dataclass
class Story:
    """One showing of the demo in the directory `work`.

    Attributes:
        layer: the unpacked layer.
        say: takes one line of narration.
    """

    root: Path
    work: Path
    layer: Path
    say: Say
    _servers: list[Server] = field(default_factory=list)

    async def play(self) -> Count:
        """Play every scene and return the count; no process is left behind."""
        served = self.work / "bundles"
        served.mkdir()
        try:
            bundles = await self._open_publisher(served)
            audit = await self._open_store()
            async with AsyncExitStack() as stack:
                settings = self._settings(bundles.url, audit.url)
                env = await stack.enter_async_context(LocalLambda(settings))
                await self._cold_start(env)
                await self._obligations(env)
                await self._new_revision(env, served)
                await self._bundle_server_gone(env, bundles)
                await self._killed(env)
                await self._spin_down(env)
                logged = _decision_ids(env)
            return await self._count(audit, logged)
        finally:
            for server in self._servers:
                server.stop()

    async def _open_publisher(self, served: Path) -> Server:
        self.say("The policy team tests, builds and publishes the bundle `orders`")
        tested = await self._publish(served, "r1", {})
        size = (served / "orders.tar.gz").stat().st_size
        self.say(f"  {tested}; orders.tar.gz has {size} bytes, revision r1")
        return await self._start("serve-bundles", str(served), "--addr", "127.0.0.1:0")

    async def _publish(self, served: Path, revision: str, new_grants: JsonObject) -> str:
        source = self.root / "bundles" / "orders"
        return await asyncio.to_thread(publish, source, served, revision, new_grants)

    async def _open_store(self) -> Server:
        self.say("The auditor starts the store")
        store = ["--dir", str(self.work / "audit"), "--addr", "127.0.0.1:0"]
        audit = await self._start("audit", "serve", *store, "--commit-seconds", "0.5")
        self.say(f"  decision logs go to {audit.url}/logs")
        return audit

    async def _start(self, *arguments: str) -> Server:
        server = await asyncio.to_thread(Server, *arguments)
        self._servers.append(server)
        return server

    def _settings(self, bundles_url: str, audit_url: str) -> LambdaSettings:
        fresh = {"max_age_seconds": MAX_AGE_SECONDS, "on_stale": "wait"}
        config = {
            "services": {"policies": {"url": bundles_url}, "audit": {"url": audit_url}},
            "bundles": {"orders": {"service": "policies", **fresh}},
            "decision_logs": {"service": "audit"},
            "server": {"port_token": {}},
            "persistence_directory": str(self.work / "tmp"),
        }
        return LambdaSettings(
            self.root / "samples" / "python-orders",
            "handler.handle",
            layer_dir=self.layer,
            environment={
                "POLICY_AGENT_CONFIG": json.dumps(config),
                "POLICY_AGENT_ADDR": f"127.0.0.1:{free_port()}",
                "POLICY_AGENT_TOKEN_PATH": str(self.work / "tmp" / "port-token"),
            },
            function_name="orders",
        )

    async def _cold_start(self, env: LocalLambda) -> None:
        self.say("Cold start: carol, a customer, reads her own order")
        answer, took_ms = await self._ask(env, read_order(CAROL, "o-1"))
        registered = env.events.elapsed_ms("spawn", "register", EXTENSION)
        self.say(
            f"  Init took {env.init_ms:.0f} ms, of which the runtime waited {registered:.0f} ms "
            f"for the agent; then {took_ms:.0f} ms to {_short(answer)}"
        )

    async def _obligations(self, env: LocalLambda) -> None:
        scenes = (
            ("dave reads carol's order", read_order(DAVE, "o-1")),
            ("sue of support reads it and must not see e-mail and card", read_order(SUE, "o-1")),
            ("mia, a manager, refunds 120 without a second factor", refund_order(MIA, "o-1")),
        )
        self.say("Warm: denied, allowed with masked fields, step-up required")
        for title, event in scenes:
            answer, took_ms = await self._ask(env, event)
            self.say(f"  {title}: {_short(answer)} in {took_ms:.1f} ms")

    async def _new_revision(self, env: LocalLambda, served: Path) -> None:
        self.say("A new revision lets couriers read orders, while the environment is warm")
        event = read_order(REX, "o-1")
        answer, _ = await self._ask(env, event)
        self.say(f"  r1: rex, a courier, reads carol's order: {_short(answer)}")
        await self._publish(served, "r2", {"courier": {"orders:read": "region"}})
        await asyncio.sleep(MAX_AGE_SECONDS)
        self.say(f"  r2 is published; no decision may be older than {MAX_AGE_SECONDS} s, so")
        answer, took_ms = await self._ask(env, event)
        self.say(f"  the next invocation obeys it: {_short(answer)} in {took_ms:.1f} ms")
        self.say(f"  cold starts so far: {len(env.inits)}")

    async def _bundle_server_gone(self, env: LocalLambda, bundles: Server) -> None:
        self.say("The bundle server goes away; decisions go on")
        await asyncio.to_thread(bundles.stop)
        await asyncio.sleep(MAX_AGE_SECONDS)
        for _ in range(3):
            answer, took_ms = await self._ask(env, read_order(CAROL, "o-1"))
            self.say(f"  carol reads her order: {_short(answer)} in {took_ms:.1f} ms")

    async def _killed(self, env: LocalLambda) -> None:
        self.say("The agent is killed (SIGKILL) the moment it has answered")
        invocation = await env.invoke(read_order(SUE, "o-1"))
        await env.kill_extension(EXTENSION)
        waiting = _spooled(self.work / "tmp")
        self.say(f"  {waiting} log entries were left behind in /tmp; Lambda resets the environment")
        await invocation.completed()
        answer, _ = await self._ask(env, read_order(CAROL, "o-1"))
        self.say(
            f"  the next invocation starts a new agent in {env.init_ms:.0f} ms from its last good "
            f"bundle: {_short(answer)}; it ships what its predecessor left"
        )

    async def _spin_down(self, env: LocalLambda) -> None:
        report = await env.shutdown()
        ended = report.extensions[EXTENSION]
        word = "by itself" if ended.by_itself else "by force"
        self.say(f"Spin-down: the agent ships the rest and exits {word} in {ended.after_ms:.0f} ms")

    async def _ask(self, env: LocalLambda, event: JsonObject) -> tuple[Any, float]:
        invocation = await env.invoke(event)
        await invocation.completed()
        return invocation.response, invocation.duration_ms

    async def _count(self, audit: Server, logged: list[str]) -> Count:
        deadline = time.monotonic() + STORE_SECONDS
        while time.monotonic() < deadline:
            stats = await asyncio.to_thread(get_json, f"{audit.url}/stats")
            if stats["pending"] == 0 and stats["stored"] >= len(set(logged)):
                break
            await asyncio.sleep(0.1)
        query = ("audit", "query", "--dir", str(self.work / "audit"))
        self.say("What the auditor sees")
        for line in (await asyncio.to_thread(run_cli, *query)).splitlines():
            self.say("  " + line)
        rows = json.loads(await asyncio.to_thread(run_cli, *query, "--format", "json"))
        stored = [row["decision_id"] for row in rows]
        return Count(
            decisions=len(logged),
            stored=len(set(stored)),
            missing=len(set(logged) - set(stored)),
            duplicates=len(stored) - len(set(stored)),
        )


def _decision_ids(env: LocalLambda) -> list[str]:
    return [match[1] for line in env.logs if (match := _DECISION_LINE.search(line.text))]


def _spooled(directory: Path) -> int:
    segments = (directory / "decision-logs").glob("*.log")
    return sum(len(segment.read_bytes().splitlines()) for segment in segments)


def _short(answer: Any) -> str:
    body = json.loads(answer["body"])
    if answer["statusCode"] != 200:
        return f"{answer['statusCode']} {'; '.join(body.get('reasons', [body['message']]))}"
    if "refunded" in body:
        return f"200 refunded {body['refunded']}"
    return f"200 e-mail {body['customer']['email']}, card {body['payment']['card']}"
