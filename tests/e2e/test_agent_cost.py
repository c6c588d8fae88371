"""What the agent costs, as it tells it from the layer under the local Lambda."""

import asyncio
import json
import urllib.request

import pytest

from tests.support import make_bundle

pytestmark = pytest.mark.e2e

ALLOW_ALL = {"app.rego": "package app\n\nallow if input.user\n"}
ASK = {"paths": ["app/allow"], "input": {"user": "u"}}


def emf_lines(env):
    lines = [line.text for line in env.logs if line.source == "policy-agent"]
    return [json.loads(line) for line in lines if '"_aws"' in line]


def test_cloudwatch_is_told_when_asked_for(local_lambda, plane):
    plane.bundles["main"] = make_bundle(ALLOW_ALL, revision="r1")

    async def scenario():
        async with local_lambda(config={"cost_metrics": {"emf": True}}) as env:
            for _ in range(3):
                await (await env.invoke(ASK)).completed()
            await env.shutdown()
            first, last = emf_lines(env)
            init_ms = env.inits[0].duration_ms
        assert first["function"] == "function"
        assert 0 < first["Register"][0] < first["Init"][0] < init_ms + 50
        assert first["InitProcessorTime"][0] > 0
        assert first["Shipped"][0] > 100
        assert len(first["PostRuntime"]) == 1
        assert len(last["PostRuntime"]) == 2
        assert last["Shutdown"][0] >= 0

    asyncio.run(scenario())


def test_metrics_tell_it_anyway_and_nothing_is_printed(local_lambda, plane, unused_port):
    plane.bundles["main"] = make_bundle(ALLOW_ALL, revision="r1")

    async def scenario():
        async with local_lambda(freeze=False) as env:
            await (await env.invoke(ASK)).completed()
            url = f"http://127.0.0.1:{unused_port}/metrics"
            body = await asyncio.to_thread(lambda: urllib.request.urlopen(url).read().decode())
            await env.shutdown()
            assert emf_lines(env) == []
        names = ("policy_", "decision_logs_after_response_ms_total ")
        samples = dict(line.split(" ") for line in body.splitlines() if line.startswith(names))
        assert float(samples["policy_agent_register_ms"]) > 0
        assert float(samples["policy_agent_init_cpu_ms"]) > 0
        assert float(samples["policy_agent_memory_bytes"]) > 1e6
        assert float(samples["policy_agent_shipped_bytes_total"]) > 100
        assert float(samples["policy_agent_invocations_total"]) == 1
        held_back_ms = float(samples["policy_agent_post_runtime_ms_total"])
        assert float(samples["decision_logs_after_response_ms_total"]) == round(held_back_ms)

    asyncio.run(scenario())
