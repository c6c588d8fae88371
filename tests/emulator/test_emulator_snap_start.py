"""SnapStart: Init is frozen, a copy of it thawed; only the runtime is told."""

import asyncio
import json
import urllib.request

import pytest

from policy_agent.emulator.sandbox import LocalLambda

HOOKS = """
import json, os, urllib.request
from snapshot_restore_py import register_after_restore, register_before_snapshot

steps = []

@register_before_snapshot
def before():
    steps.append("before")

@register_after_restore
def after():
    steps.append("after")

def handler(event, context):
    seen = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    return {"steps": steps, "variables": seen}
"""


@pytest.fixture
def snap_start(bench, run):
    """The answer of the first invocation, and the environment's event log."""
    bench.extension("agent")
    bench.handler(HOOKS)

    async def scenario():
        settings = bench.settings(initialization_type="snap-start")
        async with LocalLambda(settings) as env:
            invocation = await env.invoke({})
            await invocation.completed()
            answer = invocation.response
            credentials = await asyncio.to_thread(fetch, answer["variables"])
            return answer, credentials, env.events

    return run(scenario())


def fetch(variables):
    headers = {"Authorization": variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"]}
    request = urllib.request.Request(variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"], None, headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def test_the_runtimes_hooks_run_around_the_snapshot(snap_start):
    answer, _, events = snap_start
    assert answer["steps"] == ["before", "after"]
    [waiting] = events.of("restore_next", "runtime")
    [frozen, *_] = events.of("freeze")
    [restored] = events.of("restore")
    assert waiting.at_ns < frozen.at_ns < restored.at_ns


def test_extensions_are_told_nothing_of_the_restore(snap_start, bench):
    assert [note["eventType"] for note in bench.notes("agent")] == ["INVOKE"]


def test_credentials_are_at_a_uri_and_nowhere_else(snap_start):
    answer, credentials, _ = snap_start
    assert not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} & set(
        answer["variables"]
    )
    assert answer["variables"]["AWS_LAMBDA_INITIALIZATION_TYPE"] == "snap-start"
    assert (credentials["AccessKeyId"], credentials["Token"]) == ("ASIALOCALLAMBDA", "local")


def test_a_hook_that_fails_fails_the_invocation(bench, run):
    bench.handler(HOOKS.replace('steps.append("after")', 'raise RuntimeError("no connection")'))

    async def scenario():
        async with LocalLambda(bench.settings(initialization_type="snap-start")) as env:
            invocation = await env.invoke({})
            return await invocation.completed()

    completion = run(scenario())
    assert completion.status == "failure"
