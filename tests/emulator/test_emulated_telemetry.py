import asyncio

from policy_agent.emulator.sandbox import LocalLambda

LISTENER = """
done = threading.Event()
def on_batch(batch, path, host):
    for event in batch:
        note(path=path, host=host, **event)
        if event['type'] == 'platform.runtimeDone':
            done.set()
register('INVOKE', 'SHUTDOWN')
answer, body = subscribe(listen(on_batch))
note(type='answer', status=answer.status, body=body)
while (event := next_event())['eventType'] == 'INVOKE':
    note(type='INVOKE')
    done.wait()
    done.clear()
time.sleep(0.1)
"""


def telemetry(bench, name="agent"):
    return [note for note in bench.notes(name) if note["type"].startswith("platform.")]


def test_an_extension_can_wait_for_runtime_done_before_it_calls_next(bench, run):
    bench.extension("agent", LISTENER)

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            invocation = await env.invoke({}, trace_id="Root=1")
            completion = await invocation.completed()
            return invocation, completion

    invocation, completion = run(scenario())
    assert completion.status == "success"
    # timeoutMs is 25; with the default of 1000 it would be nearly that.
    assert 0 < completion.post_runtime_extensions_ms < 500
    done = telemetry(bench)[-1]
    assert done["type"] == "platform.runtimeDone"
    assert done["record"]["requestId"] == invocation.request_id
    assert done["record"]["status"] == "success"
    assert 0 < done["record"]["metrics"]["durationMs"] <= completion.runtime_ms + 0.001
    assert done["record"]["tracing"]["value"] == "Root=1"
    assert done["time"].endswith("Z")
    assert (done["path"], done["host"].partition(":")[0]) == ("/t", "sandbox.localdomain")
    assert bench.notes("agent")[0]["body"] == "OK"


def test_events_come_in_lambdas_order_and_the_report_with_the_next_invocation(bench, run):
    bench.extension("agent", LISTENER)

    async def scenario():
        async with LocalLambda(bench.settings(freeze=False)) as env:
            for _ in range(2):
                await (await env.invoke({})).completed()
            await env.shutdown()

    run(scenario())
    types = [note["type"].removeprefix("platform.") for note in telemetry(bench)]
    assert types == [
        "initStart",
        "telemetrySubscription",
        "initRuntimeDone",
        "extension",
        "initReport",
        "start",
        "runtimeDone",
        "report",
        "start",
        "runtimeDone",
        "report",
    ]
    order = [note["type"] for note in bench.notes("agent") if note["type"] != "answer"]
    assert order.index("platform.report") > order.index("platform.runtimeDone")
    reports = [note["record"] for note in telemetry(bench) if note["type"] == "platform.report"]
    cold, warm = (report["metrics"] for report in reports)
    assert cold["initDurationMs"] > 0
    assert "initDurationMs" not in warm
    assert cold["memorySizeMB"] == 512
    assert 0 < cold["maxMemoryUsedMB"] < 512


def test_only_the_types_asked_for_are_delivered(bench, run):
    bench.handler("def handler(event, context):\n    print('a line of the function')")
    source = LISTENER.replace("listen(on_batch))", "listen(on_batch), types=['function'])")
    bench.extension("agent", source.replace("    done.wait()\n", ""))

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            await (await env.invoke({})).completed()
            await env.shutdown()

    run(scenario())
    assert telemetry(bench) == []
    lines = [note for note in bench.notes("agent") if note["type"] == "function"]
    assert [line["record"] for line in lines] == ["a line of the function"]


def test_a_batch_that_the_listener_refuses_is_sent_again(bench, run):
    bench.extension(
        "agent",
        LISTENER.replace(
            "    for event in batch:",
            "    if first_time('refused'):\n        return 500\n    for event in batch:",
        ),
    )

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            await (await env.invoke({})).completed()
            return [event.detail["problem"] for event in env.events.of("telemetry_retry")]

    assert run(scenario()) == ["status 500"]
    assert telemetry(bench)[0]["type"] == "platform.initStart"


def test_a_batch_waits_until_the_listener_is_up(bench, run, eventually):
    bench.extension(
        "agent",
        """
        import socket
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            port = probe.getsockname()[1]
        register('INVOKE')
        subscribe(port)
        await_file('refused')
        def on_batch(batch, path, host):
            note(first=batch[0]['type'])
        listen(on_batch, port)
        await_file('agent.jsonl')
        loop()
        """,
    )

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            init = asyncio.create_task(env.init())
            await eventually(lambda: env.events.of("telemetry_retry"))
            (bench.scratch / "refused").touch()
            return (await init).failure

    assert run(scenario()) is None
    assert bench.notes("agent")[0]["first"] == "platform.initStart"


def test_the_mode_refuse_answers_as_awss_emulator_and_delivers_nothing(bench, run):
    bench.extension("agent", LISTENER.replace("    done.wait()\n", ""))

    async def scenario():
        async with LocalLambda(bench.settings(telemetry="refuse")) as env:
            await (await env.invoke({})).completed()
            await env.shutdown()

    run(scenario())
    answer = bench.notes("agent")[0]
    assert answer["status"] == 202
    assert answer["body"]["errorType"] == "Telemetry.NotSupported"
    assert telemetry(bench) == []


def test_an_invalid_subscription_is_refused(bench, run):
    bench.extension(
        "agent",
        """
        register('INVOKE')
        answer, body = subscribe(1, types=[])
        note(status=answer.status, body=body)
        answer, body = call('PUT', '/2022-07-01/telemetry', {})
        note(status=answer.status, body=body)
        loop()
        """,
    )

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            await env.init()

    run(scenario())
    answers = [(note["status"], note["body"]["errorType"]) for note in bench.notes("agent")]
    assert answers == [
        (400, "ValidationError"),
        (403, "Extension.MissingExtensionIdentifier"),
    ]


def test_a_listener_that_falls_behind_is_told_what_it_lost(bench, run, eventually):
    bench.extension(
        "agent",
        """
        register('INVOKE')
        def on_batch(batch, path, host):
            await_file('go')
            dropped = [event for event in batch if event['type'] == 'platform.logsDropped']
            note(dropped=[event['record'] for event in dropped])
        subscribe(listen(on_batch), types=['platform', 'function'])
        loop()
        """,
    )
    bench.handler(
        "def handler(event, context):\n    for _ in range(2000):\n        print('x' * 1000)"
    )

    async def scenario():
        async with LocalLambda(bench.settings(timeout_seconds=10, freeze=False)) as env:
            await (await env.invoke({})).completed()
            await eventually(lambda: env.events.of("telemetry_dropped"))
            (bench.scratch / "go").touch()
            await env.invoke({})
            await eventually(lambda: any(note.get("dropped") for note in bench.notes("agent")))

    run(scenario())
    [record, *_] = [record for note in bench.notes("agent") for record in note.get("dropped", [])]
    assert record["droppedRecords"] > 0
    assert record["droppedBytes"] > record["droppedRecords"]


def test_types_that_are_lost_never_come(bench, run):
    bench.extension("agent", LISTENER.replace("    done.wait()\n", ""))

    async def scenario():
        lost = ("platform.runtimeDone",)
        async with LocalLambda(bench.settings(lost_telemetry=lost, freeze=False)) as env:
            for _ in range(2):
                await (await env.invoke({})).completed()
            await env.shutdown()

    run(scenario())
    assert "platform.runtimeDone" not in [event["type"] for event in telemetry(bench)]
