import asyncio

from policy_agent.emulator.sandbox import LocalLambda, LogLine


def kinds(environment, *wanted):
    return [(e.kind, e.subject) for e in environment.events if e.kind in wanted]


def test_the_runtime_starts_only_when_every_extension_has_registered(bench, run):
    bench.extension("fast")
    bench.extension("slow", "time.sleep(0.1)\nregister('INVOKE')\nloop()")

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            report = await env.init()
            assert report.failure is None
            assert env.init_ms == report.duration_ms
            steps = kinds(env, "spawn", "register", "init_done")
            assert env.events.elapsed_ms("spawn", "register", "slow") >= 100
            return steps

    assert run(scenario()) == [
        ("spawn", "fast"),
        ("spawn", "slow"),
        ("register", "fast"),
        ("register", "slow"),
        ("spawn", "runtime"),
        ("init_done", ""),
    ]


def test_an_invocation_reaches_the_handler_and_the_extension(bench, run):
    bench.handler("""
        import os
        def handler(event, context):
            return {
                "event": event,
                "id": context.aws_request_id,
                "arn": context.invoked_function_arn,
                "left_ms": context.get_remaining_time_in_millis(),
                "trace": os.environ.get("_X_AMZN_TRACE_ID"),
            }
    """)
    bench.extension("agent")

    async def scenario():
        async with LocalLambda(bench.settings(timeout_seconds=5)) as env:
            first = await env.invoke({"n": [1, "ä"]}, trace_id="Root=1")
            second = await env.invoke(b'"raw"')
            await second.completed()
            return first, second

    first, second = run(scenario())
    assert first.function_error is None
    assert first.response["event"] == {"n": [1, "ä"]}
    assert first.response["id"] == first.request_id
    assert 4000 < first.response["left_ms"] <= 5000
    assert first.response["trace"] == "Root=1"
    assert second.response["event"] == "raw"
    assert second.response["trace"] is None
    told, told_later = bench.notes("agent")
    assert told["eventType"] == "INVOKE"
    assert told["requestId"] == first.request_id
    assert told["deadlineMs"] == first.deadline_ms
    assert told["invokedFunctionArn"] == first.response["arn"]
    assert told["tracing"] == {"type": "X-Amzn-Trace-Id", "value": "Root=1"}
    assert "tracing" not in told_later


def test_a_function_without_a_layer_runs(bench, run):
    async def scenario():
        async with LocalLambda(bench.settings(layer_dir=None)) as env:
            return (await env.invoke([1])).response

    assert run(scenario()) == {"echo": [1]}


def test_modules_of_the_layer_can_be_imported_by_the_function(bench, run):
    (bench.layer / "python").mkdir()
    (bench.layer / "python" / "shared.py").write_text("VALUE = 7")
    bench.handler("import shared\ndef handler(event, context):\n    return shared.VALUE")
    bench.extension("agent")

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            return (await env.invoke(None)).response

    assert run(scenario()) == 7


def test_the_caller_is_answered_while_an_extension_is_still_at_work(bench, run):
    bench.extension(
        "slow",
        """
        register('INVOKE')
        next_event()
        await_file('go')
        time.sleep(0.05)
        loop()
        """,
    )

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            invocation = await env.invoke({})
            assert invocation.response == {"echo": {}}
            assert kinds(env, "freeze") == []
            (bench.scratch / "go").touch()
            completion = await invocation.completed()
            return invocation, completion, env.init_ms

    invocation, completion, init_ms = run(scenario())
    assert completion.status == "success"
    assert completion.post_runtime_extensions_ms >= 45
    assert invocation.duration_ms < completion.total_ms
    assert init_ms < invocation.latency_ms
    assert completion.total_ms >= completion.runtime_ms + 45
    assert completion.total_ms + init_ms <= completion.billed_ms
    assert completion.billed_ms < completion.total_ms + init_ms + 1


def test_an_extension_without_invoke_is_not_waited_for(bench, run):
    bench.extension("closing-only", "register('SHUTDOWN')\nloop()")

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            for _ in range(2):
                await (await env.invoke({})).completed()
            await env.shutdown()

    run(scenario())
    assert [note["eventType"] for note in bench.notes("closing-only")] == ["SHUTDOWN"]


def test_everything_is_stopped_between_invocations_and_continues_with_the_next(bench, run):
    bench.extension("agent")

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            pids = None
            for number in range(2):
                invocation = await env.invoke(number)
                assert invocation.response == {"echo": number}
                await invocation.completed()
                states = {name: process.state for name, process in env.processes.items()}
                assert states == {"agent": "T", "runtime": "T"}
                now = {name: process.pid for name, process in env.processes.items()}
                assert pids in (None, now)
                pids = now
            return kinds(env, "freeze", "thaw")

    assert run(scenario()) == [("freeze", ""), ("thaw", ""), ("freeze", "")]


def test_without_freeze_nothing_is_stopped(bench, run):
    bench.extension("agent")

    async def scenario():
        async with LocalLambda(bench.settings(freeze=False)) as env:
            await (await env.invoke({})).completed()
            assert kinds(env, "freeze", "thaw") == []
            return {process.state for process in env.processes.values()}

    assert "T" not in run(scenario())


def test_overlapping_invocations_wait_in_line_without_a_freeze_between(bench, run):
    bench.handler("""
        import time
        def handler(event, context):
            time.sleep(0.02)
            return event
    """)
    bench.extension("agent")

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            invocations = await asyncio.gather(*(env.invoke(n) for n in range(3)))
            for invocation in invocations:
                await invocation.completed()
            answers = [invocation.response for invocation in invocations]
            return answers, kinds(env, "invoke", "response", "freeze")

    answers, steps = run(scenario())
    assert answers == [0, 1, 2]
    assert steps == [("invoke", ""), ("response", "runtime")] * 3 + [("freeze", "")]


def test_an_exception_in_the_function_is_a_function_error_and_the_environment_lives_on(bench, run):
    bench.handler("""
        def handler(event, context):
            if event == "bad":
                raise ValueError("no such order")
            return event
    """)
    bench.extension("agent")

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            failed = await env.invoke("bad")
            assert failed.function_error == "Unhandled"
            assert failed.response["errorType"] == "ValueError"
            assert failed.response["errorMessage"] == "no such order"
            completion = await failed.completed()
            good = await env.invoke("good")
            assert good.function_error is None
            assert good.response == "good"
            return completion, len(env.inits)

    completion, inits = run(scenario())
    assert (completion.status, completion.error_type) == ("error", "ValueError")
    assert inits == 1


def test_output_of_all_processes_is_kept_line_by_line(bench, run):
    bench.handler("""
        import sys
        def handler(event, context):
            print("to stdout")
            print("to stderr", file=sys.stderr)
    """)
    bench.extension("agent", "print('hello', flush=True)\nregister('SHUTDOWN')\nloop()")
    seen: list[LogLine] = []

    async def scenario():
        async with LocalLambda(bench.settings(), on_log=seen.append) as env:
            await env.invoke({})
            await env.shutdown()
            return list(env.logs)

    logs = run(scenario())
    assert logs == seen
    assert {(line.source, line.text) for line in logs} == {
        ("agent", "hello"),
        ("runtime", "to stdout"),
        ("runtime", "to stderr"),
    }


def test_the_extension_runs_with_the_scrubbed_environment(bench, run):
    bench.extension("agent", "note(env=dict(os.environ))\nregister('INVOKE')\nloop()")

    async def scenario():
        settings = bench.settings(environment={"STAGE": "test", "_HIDDEN": "1"})
        async with LocalLambda(settings) as env:
            await env.init()
            return env.api_address

    address = run(scenario())
    seen = bench.notes("agent")[0]["env"]
    assert seen["AWS_LAMBDA_RUNTIME_API"] == address
    assert address.startswith("127.0.0.2:")
    assert seen["STAGE"] == "test"
    assert not [name for name in seen if name.startswith("_")]
    assert not {"LAMBDA_TASK_ROOT", "AWS_EXECUTION_ENV", "HOME"} & set(seen)
