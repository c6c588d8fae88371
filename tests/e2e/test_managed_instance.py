"""The layer's agent on a local Managed Instance."""

import asyncio
import json

import pytest

from policy_agent.emulator.managed import ManagedLambda
from policy_agent.emulator.settings import LambdaSettings
from tests.e2e.conftest import FUNCTION
from tests.support import make_bundle

pytestmark = pytest.mark.e2e

ALLOW_ALL = {"app.rego": "package app\n\nallow if input.user\n"}


def test_on_a_managed_instance_decisions_overlap_and_all_are_shipped(
    layer, plane, tmp_path, unused_port
):
    plane.bundles["main"] = make_bundle(ALLOW_ALL, revision="r1")
    document = {
        "services": {"plane": {"url": plane.url}},
        "bundles": {"main": {}},
        "decision_logs": {"service": "plane"},
        "persistence_directory": str(tmp_path / "state"),
    }
    variables = {
        "POLICY_AGENT_CONFIG": json.dumps(document),
        "POLICY_AGENT_ADDR": f"127.0.0.1:{unused_port}",
    }
    settings = LambdaSettings(
        *(FUNCTION, "handler.handle", layer, variables), timeout_seconds=10, max_concurrency=3
    )

    async def scenario():
        async with ManagedLambda(settings) as env:
            ask = {"paths": ["app/allow"] * 5, "input": {"user": "u"}}
            invocations = await asyncio.gather(*(env.invoke(ask) for _ in range(9)))
            answers = [answer for each in invocations for answer in each.response]
            report = await env.shutdown()
            assert report.extensions["policy-agent"].by_itself
            return answers

    answers = asyncio.run(scenario())
    assert all(answer["allow"] for answer in answers)
    assert sorted(answer["id"] for answer in answers) == sorted(plane.ids)
    assert len(answers) == 45
    [closing] = plane.closings
    assert closing["last_seq"] == 45
