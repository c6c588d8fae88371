import shutil

import pytest

from policy_agent.emulator.sandbox import LocalLambda
from policy_agent.errors import EmulatorError

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="no node on the PATH")

HANDLER = """
export async function handle(event, context) {
  if (event.fail) throw new RangeError("too far");
  return { echo: event, id: context.awsRequestId, left: context.getRemainingTimeInMillis() };
}
"""
BOOTSTRAP = """#!/bin/sh
base=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation
while :; do
    event=$(curl -sS -D "$SCRATCH/headers" "$base/next") || exit 1
    id=$(tr -d '\\r' < "$SCRATCH/headers" | sed -n 's/^lambda-runtime-aws-request-id: //Ip')
    curl -sS -d "{\\"shell\\": $event}" "$base/$id/response" > /dev/null
done
"""


@needs_node
def test_a_function_in_javascript_runs_under_node_js(bench, run):
    (bench.function / "app.mjs").write_text(HANDLER)
    bench.extension("agent")

    async def scenario():
        async with LocalLambda(bench.settings(handler="app.handle")) as env:
            first = await env.invoke({"n": 1})
            failed = await env.invoke({"fail": True})
            await env.invoke({"n": 2})
            await env.shutdown()
            return first, failed, len(env.inits)

    first, failed, inits = run(scenario())
    assert first.response["echo"] == {"n": 1}
    assert first.response["id"] == first.request_id
    assert 0 < first.response["left"] <= 3000
    assert failed.function_error == "Unhandled"
    assert failed.response["errorType"] == "RangeError"
    assert inits == 1


@needs_node
def test_a_module_that_cannot_be_loaded_is_an_init_error(bench, run):
    (bench.function / "app.mjs").write_text("throw new Error('broken');")

    async def scenario():
        async with LocalLambda(bench.settings(handler="app.handle", layer_dir=None)) as env:
            return (await env.invoke({})).response

    assert run(scenario())["errorMessage"] == "broken"


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on the PATH")
def test_a_bootstrap_is_a_runtime_of_its_own(bench, run):
    bootstrap = bench.function / "bootstrap"
    bootstrap.write_text(BOOTSTRAP)
    bootstrap.chmod(0o755)
    bench.extension("agent")

    async def scenario():
        async with LocalLambda(bench.settings(handler="anything")) as env:
            return [(await env.invoke({"n": n})).response for n in (1, 2)]

    assert run(scenario()) == [{"shell": {"n": 1}}, {"shell": {"n": 2}}]


def test_a_bootstrap_that_cannot_be_executed_is_named(bench, run):
    (bench.function / "bootstrap").write_text("")

    async def scenario():
        async with LocalLambda(bench.settings()):
            pass

    with pytest.raises(EmulatorError, match="bootstrap: is not executable"):
        run(scenario())
