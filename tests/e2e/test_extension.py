"""The agent from the unzipped layer under the local Lambda, driven by AWS's runtime client."""

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from policy_agent.config.document import DEFAULT_PERSISTENCE_DIRECTORY
from tests.support import make_bundle

pytestmark = pytest.mark.e2e

ALLOW_ALL = {"app.rego": "package app\n\nallow if input.user\n"}
DENY_ALL = {"app.rego": "package app\n\nallow := false\n"}
ASK = {"paths": ["app/allow"], "input": {"user": "u"}}


async def ask(env, event=ASK):
    invocation = await env.invoke(event)
    await invocation.completed()
    assert invocation.function_error is None, invocation.response
    return invocation.response


def segments(tmp_path):
    return list((tmp_path / "state" / "decision-logs").glob("*.log"))


def test_the_runtime_starts_after_register_and_decides_before_its_first_answer(local_lambda, plane):
    plane.bundles["main"] = make_bundle(ALLOW_ALL, revision="r1")

    async def scenario():
        async with local_lambda() as env:
            [answer] = await ask(env)
            assert answer["allow"]
            [registered] = env.events.of("register", "policy-agent")
            [spawned] = env.events.of("spawn", "runtime")
            assert registered.at_ns < spawned.at_ns
            report = await env.shutdown()
            assert report.extensions["policy-agent"].by_itself
            assert report.extensions["policy-agent"].exit_code == 0
        assert plane.ids == [answer["id"]]
        [event] = plane.decisions
        [closing] = plane.closings
        assert closing["last_seq"] == 1
        assert event["labels"]["function"] == "function"
        assert event["bundles"] == {"main": {"revision": "r1"}}
        assert (event["path"], event["input"], event["result"]) == (
            "app/allow",
            {"user": "u"},
            True,
        )

    asyncio.run(scenario())


def test_an_entry_names_the_invocation_its_trace_and_the_bundle(local_lambda, plane):
    plane.bundles["main"] = make_bundle(ALLOW_ALL, revision="r1")
    root = "1-5759e988-bd862e3fe1be46a994272793"

    async def scenario():
        async with local_lambda() as env:
            invocation = await env.invoke(ASK, trace_id=f"Root={root};Sampled=1")
            await invocation.completed()
        [event] = plane.decisions
        told = event["custom"]["lambda"]
        assert told.pop("function_arn").endswith(":function:function")
        assert told == {
            "request_id": invocation.request_id,
            "function_version": "$LATEST",
            "xray_trace_id": root,
        }
        assert event["custom"]["bundles"]["main"]["source"] == "remote"
        assert 0 <= event["custom"]["bundles"]["main"]["age_seconds"] < 30

    asyncio.run(scenario())


def test_decisions_are_shipped_after_the_response_and_before_the_freeze(local_lambda, plane):
    plane.bundles["main"] = make_bundle(ALLOW_ALL, revision="r1")

    async def scenario():
        async with local_lambda() as env:
            for count in (1, 2, 3):
                await ask(env)
                assert len(plane.events) == count

    asyncio.run(scenario())


def test_a_new_revision_is_fetched_beside_an_invocation_and_decides_the_next(local_lambda, plane):
    plane.bundles["main"] = make_bundle(ALLOW_ALL, revision="r1")

    async def scenario():
        async with local_lambda() as env:
            assert (await ask(env))[0]["allow"]
            plane.bundles["main"] = make_bundle(DENY_ALL, revision="r2")
            await ask(env)
            assert not (await ask(env))[0]["allow"]
            assert len(env.inits) == 1
        assert plane.events[-1]["bundles"] == {"main": {"revision": "r2"}}
        assert plane.etags[0] is None
        assert plane.etags[1] is not None

    asyncio.run(scenario())


def test_after_a_thaw_no_decision_is_older_than_allowed(local_lambda, plane):
    plane.bundles["main"] = make_bundle(ALLOW_ALL, revision="r1")
    bundles = {
        "main": {
            "polling": {"min_delay_seconds": 600, "max_delay_seconds": 600},
            "max_age_seconds": 0.2,
            "on_stale": "deny",
            "wait_ms": 3000,
        }
    }

    async def scenario():
        async with local_lambda(config={"bundles": bundles}) as env:
            assert (await ask(env))[0]["allow"]
            plane.bundles["main"] = make_bundle(DENY_ALL, revision="r2")
            await asyncio.sleep(0.3)  # frozen, for longer than the allowed age
            [revoked] = await ask(env)
            assert not revoked["allow"]
            assert revoked["reasons"] == []
            plane.bundles.clear()
            await asyncio.sleep(0.3)
            [refused] = await ask(env)
            assert not refused["allow"]
            assert "max_age_seconds is 0.2" in refused["reasons"][0]
        assert plane.events[1]["bundles"] == {"main": {"revision": "r2"}}

    asyncio.run(scenario())


def test_a_bad_revision_leaves_the_old_one_deciding(local_lambda, plane):
    plane.bundles["main"] = make_bundle(ALLOW_ALL, revision="r1")

    async def scenario():
        async with local_lambda() as env:
            await ask(env)
            for bad in ({"app.rego": "package app\n\nallow if {"}, {"data.json": "{"}):
                plane.bundles["main"] = make_bundle(bad, revision="r2")
                await ask(env)
                assert (await ask(env))[0]["allow"]
        assert {event["bundles"]["main"]["revision"] for event in plane.events} == {"r1"}

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        pytest.param({"services": {"plane": {"url": "ftp://x"}}}, "services.plane.url: must be",
                     id="bad configuration"),
        pytest.param({"bundles": {"other": {}}}, "bundle other: server replied with Not Found",
                     id="no such bundle"),
        pytest.param({"bundles": {"b": {"resource": "file:///nope.tar.gz"}}}, "bundle b: ",
                     id="no such file"),
    ],
)  # fmt: skip
def test_without_a_policy_the_function_runs_and_is_denied_with_the_reason(
    local_lambda, config, reason
):
    async def scenario():
        async with local_lambda(config=config) as env:
            for _ in range(2):
                [answer] = await ask(env)
                assert not answer["allow"]
                assert reason in answer["reasons"][0]
            assert len(env.inits) == 1

    asyncio.run(scenario())


def test_a_bundle_server_that_comes_late_is_found(local_lambda, plane):
    async def scenario():
        async with local_lambda() as env:
            assert not (await ask(env))[0]["allow"]
            plane.bundles["main"] = make_bundle(ALLOW_ALL, revision="r1")
            await ask(env)
            assert (await ask(env))[0]["allow"]

    asyncio.run(scenario())


def test_init_failure_can_be_asked_to_fail_the_function(local_lambda):
    async def scenario():
        async with local_lambda(config={"on_init_failure": "fail"}) as env:
            report = await env.init()
            assert report.failure is not None
            assert report.failure.error_type == "Extension.InitError"

    asyncio.run(scenario())


def test_a_killed_agents_decisions_are_shipped_once_by_its_successor(local_lambda, plane, tmp_path):
    plane.bundles["main"] = make_bundle(ALLOW_ALL, revision="r1")
    plane.log_status = 500

    async def scenario():
        answered = []
        async with local_lambda() as env:
            for _ in range(3):
                answers = await ask(env, {**ASK, "paths": ["app/allow"] * 5})
                answered += [answer["id"] for answer in answers]
            first_pid = env.processes["policy-agent"].pid
            await env.kill_extension("policy-agent")
            assert segments(tmp_path)
            plane.bundles.clear()
            plane.log_status = 200
            crashed = await env.invoke(ASK)
            await crashed.completed()
            assert crashed.function_error
            [answer] = await ask(env)
            assert answer["allow"], "the last good bundle is still there"
            answered.append(answer["id"])
            assert env.processes["policy-agent"].pid != first_pid
            await env.shutdown()
        assert sorted(plane.ids) == sorted(answered)
        assert len(set(answered)) == 16
        assert not segments(tmp_path)

    asyncio.run(scenario())


@pytest.mark.parametrize("log_status", [500, 413, None], ids=["500", "413", "hangs"])
def test_a_receiver_that_takes_nothing_costs_no_invocation_and_no_decision(
    local_lambda, plane, tmp_path, log_status
):
    plane.bundles["main"] = make_bundle(ALLOW_ALL, revision="r1")
    plane.log_status = log_status

    async def scenario():
        async with local_lambda() as env:
            [answer] = await ask(env)
            assert answer["allow"]
            report = await env.shutdown()
            assert report.extensions["policy-agent"].by_itself
        kept = b"".join(
            file.read_bytes() for file in (tmp_path / "state" / "decision-logs").iterdir()
        )
        assert answer["id"].encode() in kept

    asyncio.run(scenario())


def test_without_telemetry_decisions_are_shipped_at_the_next_event(local_lambda, plane):
    plane.bundles["main"] = make_bundle(ALLOW_ALL, revision="r1")

    async def scenario():
        async with local_lambda(telemetry="refuse") as env:
            answered = [(await ask(env))[0]["id"] for _ in range(3)]
            await env.shutdown()
        assert plane.ids == answered

    asyncio.run(scenario())


def test_a_runtime_that_dies_loses_no_decision(local_lambda, plane):
    plane.bundles["main"] = make_bundle(ALLOW_ALL, revision="r1")

    async def scenario():
        async with local_lambda() as env:
            answered = [(await ask(env))[0]["id"]]
            os.kill(env.processes["runtime"].pid, signal.SIGKILL)
            invocation = await env.invoke(ASK)
            await invocation.completed()
            assert invocation.function_error
            answered.append((await ask(env))[0]["id"])
            await env.shutdown()
        assert sorted(plane.ids) == sorted(answered)

    asyncio.run(scenario())


def test_the_functions_proxy_does_not_come_between_agent_and_lambda(local_lambda, plane):
    plane.bundles["main"] = make_bundle(ALLOW_ALL, revision="r1")
    proxy = {"HTTP_PROXY": "http://127.0.0.1:1", "http_proxy": "http://127.0.0.1:1"}

    async def scenario():
        async with local_lambda(environment={**proxy, "NO_PROXY": "127.0.0.1"}) as env:
            assert (await ask(env))[0]["allow"]
            await env.shutdown()
        assert len(plane.ids) == 1

    asyncio.run(scenario())


def test_state_stays_in_the_persistence_directory(local_lambda, plane, tmp_path):
    plane.bundles["main"] = make_bundle(ALLOW_ALL, revision="r1")

    async def scenario():
        async with local_lambda() as env:
            await ask(env)
            await env.shutdown()

    default = Path(DEFAULT_PERSISTENCE_DIRECTORY)
    before = {path: path.stat().st_mtime_ns for path in default.rglob("*")}
    asyncio.run(scenario())
    assert {path: path.stat().st_mtime_ns for path in default.rglob("*")} == before
    assert (tmp_path / "state" / "bundles").is_dir()


def test_each_copy_of_a_snapshot_numbers_its_own_decisions(local_lambda, plane):
    plane.bundles["main"] = make_bundle(ALLOW_ALL, revision="r1")

    async def scenario():
        environment = {"DECIDE_AT_INIT": "app/allow"}
        async with local_lambda(environment=environment, initialization_type="snap-start") as env:
            await ask(env)
            await env.shutdown()

    asyncio.run(scenario())
    # The decision of the function's own Init is in the snapshot, so every copy ships it; its stream
    # ends there, and the invocation's decision is the first of another.
    streams = {event["custom"]["audit"]["instance"] for event in plane.decisions}
    assert len(plane.decisions) == len(streams) == 2
    assert [event["custom"]["audit"]["seq"] for event in plane.decisions] == [1, 1]
    assert len(plane.closings) == 2


def test_a_discovered_configuration_decides_first_and_a_new_one_from_the_next_invocation(
    local_lambda, plane
):
    polling = {"min_delay_seconds": 0, "max_delay_seconds": 0}
    plane.bundles |= {
        "allowing": make_bundle(ALLOW_ALL, revision="r1"),
        "denying": make_bundle(DENY_ALL, revision="r2"),
    }

    def publish(name, revision):
        document = {
            "bundles": {name: {"service": "plane", "polling": polling}},
            "decision_logs": {"service": "plane"},
            "labels": {"settings": revision},
        }
        data = {"data.json": json.dumps(document)}
        plane.bundles["discovery"] = make_bundle(data, revision=revision)

    publish("allowing", "d1")
    config = {
        "bundles": {},
        "decision_logs": None,
        "discovery": {"resource": "bundles/discovery", "polling": polling},
    }

    async def scenario():
        async with local_lambda(config=config) as env:
            assert (await ask(env))[0]["allow"]
            publish("denying", "d2")
            # This one begins as the new settings are fetched beside it.
            await ask(env)
            assert not (await ask(env))[0]["allow"]
            await env.shutdown()
        first, *_, last = plane.decisions
        assert (first["labels"]["settings"], last["labels"]["settings"]) == ("d1", "d2")
        assert (first["bundles"], last["bundles"]) == (
            {"allowing": {"revision": "r1"}},
            {"denying": {"revision": "r2"}},
        )
        assert len(plane.ids) == len(set(plane.ids)) == 3

    asyncio.run(scenario())
