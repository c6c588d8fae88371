import os
import time

import pytest

from policy_agent.emulator.sandbox import LocalLambda
from policy_agent.errors import EmulatorError


def test_spin_down_tells_extensions_and_lets_them_exit(bench, run):
    bench.extension("agent")

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            await (await env.invoke({})).completed()
            before_ms = time.time() * 1000
            report = await env.shutdown()
            exits = {event.subject: event.detail["code"] for event in env.events.of("exit")}
            return before_ms, report, exits, env.processes

    before_ms, report, exits, processes = run(scenario())
    assert report.reason == "spindown"
    assert report.extensions["agent"].by_itself
    assert report.extensions["agent"].exit_code == 0
    assert 0 < report.extensions["agent"].after_ms < 2000
    told = bench.notes("agent")[-1]
    assert (told["eventType"], told["shutdownReason"]) == ("SHUTDOWN", "spindown")
    assert before_ms + 1999 <= told["deadlineMs"] <= before_ms + 2500
    assert exits == {"runtime": -15, "agent": 0}
    assert processes == {}


def test_the_runtime_ends_before_extensions_are_told(bench, run):
    bench.extension("agent", "register('SHUTDOWN')\nnext_event()\nnote(at=time.monotonic_ns())")

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            await env.init()
            await env.shutdown()
            return env.events.of("exit", "runtime")[0].at_ns

    assert run(scenario()) < bench.notes("agent")[0]["at"]


def test_a_runtime_that_ignores_sigterm_gets_its_share_of_the_time_and_no_more(bench, run):
    bench.handler("""
        import signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        def handler(event, context):
            return None
    """)
    bench.extension("agent")

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            await env.init()
            report = await env.shutdown()
            return report.extensions["agent"], env.events.of("exit", "runtime")[0].detail["code"]

    agent, code = run(scenario())
    assert code == -9
    assert agent.by_itself
    assert 600 <= agent.after_ms < 2000


def test_an_extension_that_ignores_shutdown_is_killed_at_the_deadline(bench, run):
    bench.extension("stubborn", "register('INVOKE', 'SHUTDOWN')\nnext_event()\ntime.sleep(60)")

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            await env.init()
            return await env.shutdown()

    stubborn = run(scenario()).extensions["stubborn"]
    assert not stubborn.by_itself
    assert stubborn.exit_code == -9
    assert 1990 <= stubborn.after_ms < 3000


def test_an_extension_that_did_not_ask_for_shutdown_is_killed_at_once(bench, run):
    bench.extension("agent", "register('INVOKE')\nloop()\ntime.sleep(60)")

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            await env.init()
            return await env.shutdown()

    agent = run(scenario()).extensions["agent"]
    assert (agent.by_itself, agent.exit_code) == (False, -9)
    assert agent.after_ms < 1000
    assert bench.notes("agent") == []


def test_shutdown_reaches_an_extension_that_is_not_in_next_yet(bench, run):
    bench.handler("import time\ndef handler(event, context):\n    time.sleep(30)")
    bench.extension("busy", "register('INVOKE', 'SHUTDOWN')\nnext_event()\ntime.sleep(0.5)\nloop()")

    async def scenario():
        async with LocalLambda(bench.settings(timeout_seconds=0.3)) as env:
            await (await env.invoke({})).completed()
            return env.shutdowns[0]

    report = run(scenario())
    assert report.extensions["busy"].by_itself
    assert bench.notes("busy")[0]["shutdownReason"] == "timeout"


def test_next_after_shutdown_is_refused(bench, run):
    bench.extension(
        "agent",
        """
        register('SHUTDOWN')
        next_event()
        answer, body = call('GET', '/2020-01-01/extension/event/next', Identifier=own_id())
        note(status=answer.status, body=body)
        """,
    )

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            await env.init()
            return await env.shutdown()

    assert run(scenario()).extensions["agent"].by_itself
    refused = bench.notes("agent")[0]
    assert (refused["status"], refused["body"]["errorType"]) == (
        403,
        "Extension.InvalidExtensionState",
    )


def test_destroy_kills_frozen_processes_without_a_word(bench, run):
    bench.extension("agent")

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            await (await env.invoke({})).completed()
            pids = [process.pid for process in env.processes.values()]
            await env.destroy()
            assert env.processes == {}
            return [pid for pid in pids if os.path.exists(f"/proc/{pid}")]

    assert run(scenario()) == []
    assert [note["eventType"] for note in bench.notes("agent")] == ["INVOKE"]


def test_an_environment_that_never_ran_spins_down_to_nothing(bench, run):
    bench.extension("agent")

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            report = await env.shutdown()
            with pytest.raises(EmulatorError, match="has been shut down"):
                await env.shutdown()
            with pytest.raises(EmulatorError, match="has been shut down"):
                await env.init()
            return report

    assert run(scenario()).extensions == {}


def test_a_function_without_extensions_is_killed_at_once(bench, run):
    async def scenario():
        async with LocalLambda(bench.settings(layer_dir=None)) as env:
            await env.init()
            report = await env.shutdown()
            return report, env.events.of("exit", "runtime")[0].detail["code"]

    report, code = run(scenario())
    assert report.extensions == {}
    assert code == -9
