"""Traps that authors of extensions have met, each with the agent that does not step into it."""

import asyncio
from urllib.parse import urlsplit

import pytest

from policy_agent.emulator.relay import Relay
from tests.support import make_bundle

pytestmark = pytest.mark.e2e

ALLOW_ALL = {"app.rego": "package app\n\nallow if input.user\n"}
ASK = {"paths": ["app/allow"], "input": {"user": "u"}}


async def ask(env):
    invocation = await env.invoke(ASK)
    completion = await invocation.completed()
    assert completion.status == "success"
    [answer] = invocation.response
    assert answer["allow"]
    return answer["id"], completion


@pytest.mark.parametrize("on_thaw", ["continue", "reset", "silence"])
def test_connections_that_died_in_a_freeze_hold_nothing_up(local_lambda, plane, on_thaw):
    plane.bundles["main"] = make_bundle(ALLOW_ALL, revision="r1")
    parts = urlsplit(plane.url)

    async def scenario():
        async with Relay(parts.hostname, parts.port, on_thaw=on_thaw) as relay:
            config = {"services": {"plane": {"url": f"http://{relay.address}"}}}
            async with local_lambda(config=config, relays=(relay,)) as env:
                answered = []
                for _ in range(3):
                    decision_id, completion = await ask(env)
                    answered.append(decision_id)
                    assert completion.post_runtime_extensions_ms < 5000
                    assert plane.ids == answered
                await env.shutdown()

    asyncio.run(scenario())


def test_the_agent_never_subscribes_to_what_it_prints(local_lambda, plane):
    plane.bundles["main"] = make_bundle(ALLOW_ALL, revision="r1")

    async def scenario():
        async with local_lambda() as env:
            await ask(env)
            [subscription] = env.events.of("subscribe", "policy-agent")
            assert subscription.detail["types"] == ["platform"]
            await env.shutdown()

    asyncio.run(scenario())


def test_one_next_is_pending_at_a_time_and_none_after_shutdown(local_lambda, plane):
    plane.bundles["main"] = make_bundle(ALLOW_ALL, revision="r1")

    async def scenario():
        async with local_lambda() as env:
            for _ in range(3):
                await ask(env)
            await env.shutdown()
            kinds = [
                event.kind
                for event in env.events
                if event.kind in ("invoke", "shutdown")
                or (event.kind == "next" and event.subject == "policy-agent")
            ]
        assert kinds == ["next", *["invoke", "next"] * 3, "shutdown"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param({"lost_telemetry": ("platform.runtimeDone",)}, id="never-comes"),
        pytest.param({"telemetry_late_seconds": 0.3}, id="comes-late"),
    ],
)
def test_an_end_that_is_not_told_in_time_loses_no_decision(local_lambda, plane, faults):
    plane.bundles["main"] = make_bundle(ALLOW_ALL, revision="r1")

    async def scenario():
        async with local_lambda(timeout_seconds=3, **faults) as env:
            answered = [(await ask(env))[0] for _ in range(3)]
            await env.shutdown()
        assert sorted(plane.ids) == sorted(answered)

    asyncio.run(scenario())
