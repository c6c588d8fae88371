import asyncio

import pytest

from policy_agent.emulator.managed import ManagedLambda

SLOW = """
    import os, time
    def handler(event, context):
        time.sleep(event.get("seconds", 0))
        if event.get("raise"):
            raise RuntimeError("no")
        return os.getpid()
    """
LISTENING = """
    answer, body = register("INVOKE", "SHUTDOWN")
    note(refused=answer.status, error=body["errorType"])
    register("SHUTDOWN")
    port = listen(lambda batch, path, host: note(batch=batch))
    for schema in ("2022-12-13", "2025-01-29"):
        note(schema=schema, status=subscribe(port, schemaVersion=schema)[0].status)
    loop()
    """


def test_invocations_overlap_in_the_runtimes_workers(bench, run):
    bench.handler(SLOW)
    bench.extension("agent", "register('SHUTDOWN')\nloop()")

    async def scenario():
        async with ManagedLambda(bench.settings(max_concurrency=3)) as env:
            invocations = await asyncio.gather(*(env.invoke({"seconds": 0.3}) for _ in range(3)))
            ends = min(each.answered_ns for each in invocations)
            assert all(each.started_ns < ends for each in invocations)
            report = await env.shutdown()
            return {each.response for each in invocations}, report, env.events.of("freeze")

    pids, report, freezes = run(scenario())
    assert len(pids) == 3
    assert report.extensions["agent"].by_itself
    assert freezes == []
    assert [note["eventType"] for note in bench.notes("agent")] == ["SHUTDOWN"]
    assert bench.notes("agent")[0]["shutdownReason"] == "spindown"


def test_extensions_may_not_ask_for_invocations_nor_for_old_telemetry(bench, run, eventually):
    bench.handler(SLOW)
    bench.extension("agent", LISTENING)

    async def scenario():
        async with ManagedLambda(bench.settings(max_concurrency=2)) as env:
            invocation = await env.invoke({})
            await invocation.completed()
            await eventually(lambda: "platform.report" in str(bench.notes("agent")))
            await env.shutdown()
            return invocation

    invocation = run(scenario())
    notes = bench.notes("agent")
    assert {"refused": 403, "error": "Extension.InvalidEventType"}.items() <= notes[0].items()
    assert [note["status"] for note in notes if "schema" in note] == [400, 200]
    events = [event for note in notes for event in note.get("batch", [])]
    types = {event["type"] for event in events}
    assert {"platform.initStart", "platform.start", "platform.report"} <= types
    assert "platform.runtimeDone" not in types
    [report] = [event["record"] for event in events if event["type"] == "platform.report"]
    assert (report["requestId"], report["status"]) == (invocation.request_id, "success")
    assert set(report["metrics"]) == {"durationMs"}


def test_a_timeout_fails_one_invocation_and_resets_nothing(bench, run):
    bench.handler(SLOW)
    bench.extension("agent", "register('SHUTDOWN')\nloop()")

    async def scenario():
        async with ManagedLambda(bench.settings(max_concurrency=2, timeout_seconds=0.5)) as env:
            slow, quick = await asyncio.gather(env.invoke({"seconds": 1.2}), env.invoke({}))
            completion = await slow.completed()
            assert (await quick.completed()).status == "success"
            return completion, (await env.invoke({})).function_error, len(env.inits)

    completion, error, inits = run(scenario())
    assert (completion.status, completion.error_type) == ("timeout", "Sandbox.Timedout")
    assert (error, inits) == (None, 1)


def test_a_functions_error_is_its_own(bench, run):
    bench.handler(SLOW)

    async def scenario():
        async with ManagedLambda(bench.settings(layer_dir=None)) as env:
            failed = await env.invoke({"raise": True})
            return failed.response["errorType"], (await failed.completed()).status

    assert run(scenario()) == ("RuntimeError", "error")


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("sys.exit(3)", id="before-register"),
        pytest.param("register('SHUTDOWN')\nsys.exit(0)", id="after-it"),
    ],
)
def test_a_failed_init_ends_the_environment(bench, run, source):
    bench.extension("agent", source)

    async def scenario():
        async with ManagedLambda(bench.settings()) as env:
            first, second = await env.invoke({}), await env.invoke({})
            return first.response["errorType"], second.function_error, len(env.inits)

    assert run(scenario()) == ("Extension.Crash", "Unhandled", 1)
