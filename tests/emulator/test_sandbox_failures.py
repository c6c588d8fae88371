import asyncio
import os

import pytest

from policy_agent.emulator.sandbox import LocalLambda
from policy_agent.errors import EmulatorError

AGENT = "register('INVOKE', 'SHUTDOWN')\nloop()"
SLEEPER = """
    import time
    def handler(event, context):
        time.sleep(event)
        return "in time"
"""


def gone(pids):
    """Whether no process has one of these ids (ours have been waited for)."""
    return not any(os.path.exists(f"/proc/{pid}") for pid in pids)


def pids_of(environment):
    return {process.pid for process in environment.processes.values()}


def test_a_function_timeout_resets_the_environment_and_the_next_invocation_works(bench, run):
    bench.handler(SLEEPER)
    bench.extension("agent")

    async def scenario():
        async with LocalLambda(bench.settings(timeout_seconds=1)) as env:
            await env.init()
            before = pids_of(env)
            late = await env.invoke(30)
            assert late.function_error == "Unhandled"
            assert late.response["errorType"] == "Sandbox.Timedout"
            assert "timed out after 1.00 seconds" in late.response["errorMessage"]
            completion = await late.completed()
            assert gone(before)
            good = await env.invoke(0)
            await good.completed()
            return completion, good, list(env.inits), list(env.shutdowns)

    completion, good, inits, shutdowns = run(scenario())
    assert (completion.status, completion.error_type) == ("timeout", "Sandbox.Timedout")
    assert 990 < completion.total_ms < 3000
    assert good.response == "in time"
    assert [init.phase for init in inits] == ["init", "invoke"]
    assert [report.reason for report in shutdowns] == ["timeout"]
    assert shutdowns[0].extensions["agent"].by_itself
    told = [note for note in bench.notes("agent") if note["eventType"] == "SHUTDOWN"]
    assert [note["shutdownReason"] for note in told] == ["timeout"]
    assert len({note["pid"] for note in bench.notes("agent")}) == 2


def test_the_function_timeout_covers_slow_extensions_after_the_answer(bench, run):
    bench.extension("stuck", "register('INVOKE')\nnext_event()\ntime.sleep(60)")

    async def scenario():
        async with LocalLambda(bench.settings(timeout_seconds=0.5)) as env:
            invocation = await env.invoke("x")
            assert invocation.response == {"echo": "x"}
            assert invocation.function_error is None
            return await invocation.completed()

    completion = run(scenario())
    assert completion.status == "timeout"
    assert completion.post_runtime_extensions_ms > 0


def test_a_killed_extension_fails_the_invocation_and_the_next_starts_a_new_generation(bench, run):
    bench.extension("agent")
    bench.extension("other")
    kept = bench.scratch / "kept"
    kept.write_text("of the first generation")

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            await (await env.invoke(1)).completed()
            before = pids_of(env)
            await env.kill_extension("agent")
            failed = await env.invoke(2)
            assert failed.function_error == "Unhandled"
            assert failed.response["errorType"] == "Extension.Crash"
            assert "signal 9" in failed.response["errorMessage"]
            completion = await failed.completed()
            assert gone(before)
            good = await env.invoke(3)
            await good.completed()
            registered = env.events.of("register", "agent")
            return completion, good.response, before & pids_of(env), len(registered)

    completion, response, same_pids, registrations = run(scenario())
    assert (completion.status, completion.error_type) == ("failure", "Extension.Crash")
    assert response == {"echo": 3}
    assert not same_pids
    assert registrations == 2
    assert kept.read_text() == "of the first generation"
    assert bench.notes("other")[-2]["shutdownReason"] == "failure"


def test_an_extension_that_dies_while_the_function_runs_fails_the_invocation(bench, run):
    bench.handler(SLEEPER)
    bench.extension("agent", "register('INVOKE')\nnext_event()\nos._exit(0)")

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            failed = await env.invoke(1)
            await failed.completed()
            return failed

    failed = run(scenario())
    assert failed.response["errorType"] == "Extension.Crash"
    assert "exit status 0" in failed.response["errorMessage"]
    assert failed.duration_ms < 900


def test_an_extension_that_reports_exit_error_fails_the_invocation(bench, run):
    bench.handler(SLEEPER)
    bench.extension(
        "agent",
        """
        register('INVOKE')
        next_event()
        path = '/2020-01-01/extension/exit/error'
        answer, body = call('POST', path, {}, Identifier=own_id(), Function_Error_Type='Own.Bug')
        note(status=answer.status, body=body)
        """,
    )

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            failed = await env.invoke(1)
            await failed.completed()
            return failed.response

    response = run(scenario())
    assert response["errorType"] == "Extension.ExitError"
    assert "Own.Bug" in response["errorMessage"]


def test_a_runtime_that_exits_fails_the_invocation_and_is_replaced(bench, run):
    bench.handler("""
        import os
        def handler(event, context):
            if event == "die":
                os._exit(5)
            return os.getpid()
    """)
    bench.extension("agent")

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            first = (await env.invoke(None)).response
            failed = await env.invoke("die")
            await failed.completed()
            second = (await env.invoke(None)).response
            return first, failed.response, second

    first, failed, second = run(scenario())
    assert failed["errorType"] == "Runtime.ExitError"
    assert "exit status 5" in failed["errorMessage"]
    assert first != second
    told = [note for note in bench.notes("agent") if note["eventType"] == "SHUTDOWN"]
    assert [note["shutdownReason"] for note in told] == ["failure"]


@pytest.mark.parametrize(
    "start",
    [
        pytest.param("if first_time('once'): sys.exit(0)\n", id="exits-before-register"),
        pytest.param("register()\nif first_time('once'): sys.exit(1)\n", id="exits-after-register"),
        pytest.param("if first_time('once'): time.sleep(60)\n", id="never-registers"),
        pytest.param("register()\nif first_time('once'): time.sleep(60)\n", id="never-calls-next"),
        pytest.param(
            "register()\n"
            "if first_time('once'):\n"
            "    headers = {'Identifier': own_id(), 'Function_Error_Type': 'A.B'}\n"
            "    call('POST', '/2020-01-01/extension/init/error', {}, **headers)\n",
            id="init-error",
        ),
    ],
)
def test_a_failed_init_is_repeated_inside_the_first_invocation(bench, run, start):
    if "register()" in start:
        bench.extension("agent", start + "loop()")
    else:
        bench.extension("agent", start + AGENT)

    async def scenario():
        async with LocalLambda(bench.settings(init_limit_seconds=1.0)) as env:
            invocation = await env.invoke(1)
            await invocation.completed()
            return invocation, list(env.inits)

    invocation, inits = run(scenario())
    assert invocation.response == {"echo": 1}
    assert [init.phase for init in inits] == ["init", "invoke"]
    assert inits[0].failure is not None
    assert inits[1].failure is None


def test_an_init_that_keeps_failing_fails_the_invocation(bench, run):
    bench.extension("agent", "register()\nsys.exit(3)")

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            report = await env.init()
            assert report.failure is not None
            assert report.failure.error_type == "Extension.Crash"
            invocation = await env.invoke(1)
            completion = await invocation.completed()
            return invocation.response, completion, len(env.inits), env.processes

    response, completion, inits, processes = run(scenario())
    assert response["errorType"] == "Extension.Crash"
    assert completion.status == "failure"
    assert inits == 2
    assert processes == {}


@pytest.mark.parametrize(
    ("content", "mode"),
    [
        pytest.param("#!/bin/sh\n", 0o644, id="not-executable"),
        pytest.param("#!/nowhere/python\n", 0o755, id="no-interpreter"),
        pytest.param("\x7fELF not really", 0o755, id="wrong-format"),
    ],
)
def test_a_file_that_cannot_be_executed_is_a_launch_error(bench, run, content, mode):
    path = bench.layer / "extensions" / "agent"
    path.write_text(content)
    path.chmod(mode)

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            return (await env.init()).failure

    failure = run(scenario())
    assert failure.error_type == "Extension.LaunchError"
    assert str(path) in failure.message


def test_more_than_ten_extensions_fail_the_init_before_any_starts(bench, run):
    for number in range(11):
        bench.extension(f"agent-{number}")

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            return (await env.init()).failure, env.events.of("spawn")

    failure, spawns = run(scenario())
    assert failure.error_type == "Extension.TooManyExtensions"
    assert spawns == []


def test_a_handler_that_cannot_be_imported_is_reported_with_the_runtimes_own_words(bench, run):
    bench.handler("import no_such_module_anywhere")
    bench.extension("agent")

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            invocation = await env.invoke(1)
            await invocation.completed()
            return invocation

    invocation = run(scenario())
    assert invocation.function_error == "Unhandled"
    assert invocation.response["errorType"] == "Runtime.ImportModuleError"
    assert "no_such_module_anywhere" in invocation.response["errorMessage"]


def test_leaving_by_an_exception_leaves_no_process_behind(bench, run):
    bench.handler(SLEEPER)
    bench.extension("agent")
    pids = set()

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            await (await env.invoke(0)).completed()
            pids.update(pids_of(env))
            raise RuntimeError("a failing test")

    with pytest.raises(RuntimeError, match="a failing test"):
        run(scenario())
    assert len(pids) == 2
    assert gone(pids)


def test_cancelling_a_running_invocation_leaves_no_process_behind(bench, run, eventually):
    bench.handler(SLEEPER)
    bench.extension("agent")
    pids = set()

    async def user(started):
        async with LocalLambda(bench.settings()) as env:
            await env.init()
            pids.update(pids_of(env))
            invocation = asyncio.create_task(env.invoke(30))
            await eventually(lambda: bench.notes("agent"))
            started.set()
            await invocation

    async def scenario():
        started = asyncio.Event()
        task = asyncio.create_task(user(started))
        await started.wait()
        task.cancel()
        await asyncio.wait({task})
        return task.cancelled()

    assert run(scenario())
    assert len(pids) == 2
    assert gone(pids)


def test_destroying_answers_the_invocation_that_runs_and_those_in_line(bench, run, eventually):
    bench.handler(SLEEPER)
    bench.extension("agent")

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            calls = [asyncio.create_task(env.invoke(30)) for _ in range(2)]
            await eventually(lambda: bench.notes("agent"))
            await env.destroy()
            answers = [(await call).response["errorType"] for call in calls]
            with pytest.raises(EmulatorError, match="shut down"):
                await env.invoke(0)
            return answers

    assert run(scenario()) == ["Sandbox.Destroyed"] * 2


def test_only_a_running_extension_can_be_killed(bench, run):
    bench.extension("agent")

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            await env.init()
            with pytest.raises(EmulatorError, match="nobody: no such process runs"):
                await env.kill_extension("nobody")
            with pytest.raises(EmulatorError, match="runtime: is no extension"):
                await env.kill_extension("runtime")

    run(scenario())
