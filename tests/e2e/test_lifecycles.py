"""What happens to decisions in each kind of life and death of an environment.

docs/lifecycles.md has the table; the other tests that it names are in `test_extension.py`,
`test_managed_instance.py` and `tests/emulator`.
"""

import asyncio

import pytest

from tests.support import make_bundle

pytestmark = pytest.mark.e2e

ALLOW_ALL = {"app.rego": "package app\n\nallow if input.user\n"}
ASK = {"paths": ["app/allow"], "input": {"user": "u"}}


@pytest.fixture(autouse=True)
def bundle(plane):
    plane.bundles["main"] = make_bundle(ALLOW_ALL, revision="r1")


async def ask(env):
    invocation = await env.invoke(ASK)
    completion = await invocation.completed()
    assert completion.status == "success", completion
    [answer] = invocation.response
    assert answer["allow"]
    return answer["id"]


def gaps(plane):
    """Return, by stream, numbers that are missing before the last one that was shipped."""
    streams = {}
    for event in plane.events:
        audit = event["custom"]["audit"]
        streams.setdefault(audit["instance"], set()).add(audit["seq"])
    return {name: set(range(1, max(seen))) - seen for name, seen in streams.items()}


def test_provisioned_concurrency_decides_from_the_first_invocation_long_after_init(
    local_lambda, plane
):
    async def scenario():
        kind = {"initialization_type": "provisioned-concurrency"}
        async with local_lambda(**kind) as env:
            assert (await env.init()).failure is None
            answered = [await ask(env)]
            assert len(env.inits) == 1
            await env.shutdown()
        assert plane.ids == answered

    asyncio.run(scenario())


def test_a_function_that_times_out_has_its_decisions_shipped(local_lambda, plane):
    async def scenario():
        async with local_lambda(timeout_seconds=3) as env:
            answered = [await ask(env)]
            slow = await env.invoke({**ASK, "seconds": 10})
            completion = await slow.completed()
            assert completion.status == "timeout"
            assert [report.reason for report in env.shutdowns] == ["timeout"]
            answered.append(await ask(env))
            await env.shutdown()
        assert set(answered) < set(plane.ids)
        assert len(plane.ids) == len(set(plane.ids)) == 3
        assert not any(gaps(plane).values())

    asyncio.run(scenario())


def test_a_function_out_of_memory_has_its_decisions_shipped(local_lambda, plane):
    async def scenario():
        async with local_lambda(memory_mb=256) as env:
            answered = [await ask(env)]
            greedy = await env.invoke({**ASK, "megabytes": 600})
            completion = await greedy.completed()
            assert (completion.status, completion.error_type) == ("failure", "Runtime.ExitError")
            assert len(env.events.of("out_of_memory", "runtime")) == 1
            answered.append(await ask(env))
            await env.shutdown()
        assert set(answered) < set(plane.ids)
        assert len(plane.ids) == len(set(plane.ids)) == 3
        assert not any(gaps(plane).values())

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param("register", id="before-it-is-ready"),
        pytest.param("next", id="while-idle-in-init"),
    ],
)
def test_an_agent_that_dies_in_init_is_started_again_within_the_first_invocation(
    local_lambda, plane, moment
):
    async def scenario():
        async with local_lambda() as env:
            init = asyncio.create_task(env.init())
            while not env.events.of(moment, "policy-agent"):
                await asyncio.sleep(0.001)
            if "policy-agent" in env.processes:
                await env.kill_extension("policy-agent")
            await init
            invocation = await env.invoke(ASK)
            completion = await invocation.completed()
            if completion.status != "success":
                # It died once Init was over: the first invocation pays, the next finds a new one.
                assert completion.error_type == "Extension.Crash"
            answered = [await ask(env)]
            await env.shutdown()
        assert set(answered) <= set(plane.ids)
        assert len(env.inits) == 2

    asyncio.run(scenario())


def test_an_agent_that_dies_while_the_function_runs_leaves_its_decisions_to_the_next(
    local_lambda, plane
):
    async def scenario():
        async with local_lambda() as env:
            first = await ask(env)
            slow = asyncio.create_task(env.invoke({**ASK, "seconds": 2}))
            while len(env.events.of("invoke")) < 2:
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.5)  # it has decided by now, and waits
            await env.kill_extension("policy-agent")
            completion = await (await slow).completed()
            assert completion.error_type == "Extension.Crash"
            last = await ask(env)
            await env.shutdown()
        assert {first, last} < set(plane.ids)
        assert len(plane.ids) == len(set(plane.ids)) == 3

    asyncio.run(scenario())


def test_an_agent_that_dies_at_shutdown_leaves_its_decisions_to_the_next(
    local_lambda, plane, tmp_path
):
    plane.log_status = None  # a receiver that hangs

    async def scenario():
        async with local_lambda() as env:
            answered = [await ask(env)]
            shutdown = asyncio.create_task(env.shutdown())
            while not env.events.of("shutdown"):
                await asyncio.sleep(0.005)
            agent = env.processes["policy-agent"]
            agent.kill()
            await shutdown
            assert agent.exit_code == -9
        plane.log_status = 200
        async with local_lambda() as env:
            answered.append(await ask(env))
            await env.shutdown()
        assert sorted(plane.ids) == sorted(answered)

    asyncio.run(scenario())


def test_without_shutdown_nothing_that_was_shipped_is_lost_and_the_rest_waits(
    local_lambda, plane, tmp_path
):
    async def scenario():
        async with local_lambda() as env:
            answered = [await ask(env)]
            plane.log_status = 500
            answered.append(await ask(env))
            await env.destroy()
        assert plane.ids == answered[:1]
        assert not plane.closings, "the auditor sees an open tail"
        plane.log_status = 200
        async with local_lambda() as env:
            answered.append(await ask(env))
            await env.shutdown()
        assert sorted(plane.ids) == sorted(answered)

    asyncio.run(scenario())


def test_two_shutdowns_end_two_streams_and_ship_each_decision_once(local_lambda, plane):
    async def scenario():
        async with local_lambda(timeout_seconds=3) as env:
            await ask(env)
            await (await env.invoke({**ASK, "seconds": 10})).completed()
            await ask(env)
            await env.shutdown()
            assert [report.reason for report in env.shutdowns] == ["timeout", "spindown"]
            assert all(report.extensions["policy-agent"].by_itself for report in env.shutdowns)
        assert len(plane.ids) == len(set(plane.ids)) == 3
        assert sorted(closing["last_seq"] for closing in plane.closings) == [1, 2]

    asyncio.run(scenario())
