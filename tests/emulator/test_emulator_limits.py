import os

import pytest

from policy_agent.emulator.sandbox import LocalLambda
from policy_agent.errors import EmulatorError

HUNGRY = """
    held = []
    def handler(event, context):
        for _ in range(event["mb"]):
            held.append(bytearray(b"x" * (1 << 20)))
        return len(held)
    """


def test_a_function_that_takes_more_memory_than_it_has_is_killed_and_starts_anew(bench, run):
    bench.handler(HUNGRY)
    bench.extension("agent")

    async def scenario():
        async with LocalLambda(bench.settings(memory_mb=160, timeout_seconds=10)) as env:
            killed = await env.invoke({"mb": 400})
            completion = await killed.completed()
            [event] = env.events.of("out_of_memory", "runtime")
            after = await env.invoke({"mb": 1})
            await after.completed()
            return killed, completion, event, after.response, len(env.inits)

    killed, completion, event, response, inits = run(scenario())
    assert killed.function_error == "Unhandled"
    assert killed.response["errorType"] == "Runtime.ExitError"
    assert "signal 9" in killed.response["errorMessage"]
    assert completion.status == "failure"
    assert event.detail["size_bytes"] > 160 << 20
    assert (response, inits) == (1, 2)


def test_an_extension_that_takes_more_memory_than_there_is_fails_the_invocation(bench, run):
    bench.extension(
        "greedy",
        "register('INVOKE', 'SHUTDOWN')\nnext_event()\nif first_time('greedy'):\n"
        "    held = bytearray(b'x' * (400 << 20))\n    time.sleep(10)\nloop()",
    )

    async def scenario():
        async with LocalLambda(bench.settings(memory_mb=160, timeout_seconds=10)) as env:
            invocation = await env.invoke({})
            completion = await invocation.completed()
            return completion, env.events.of("out_of_memory", "greedy")

    completion, events = run(scenario())
    assert (completion.status, completion.error_type) == ("failure", "Extension.Crash")
    assert len(events) == 1


def test_a_process_may_open_1024_files(bench, run):
    bench.handler(
        """
        def handler(event, context):
            held = []
            try:
                while True:
                    held.append(open("/dev/null"))
            except OSError as exc:
                return [exc.errno, held[-1].fileno()]
        """
    )
    bench.extension("agent")

    async def scenario():
        async with LocalLambda(bench.settings()) as env:
            return (await env.invoke({})).response

    assert run(scenario()) == [24, 1023]


def test_more_than_1024_threads_are_noted(bench, run, eventually):
    bench.handler(
        """
        import threading
        def handler(event, context):
            stop = threading.Event()
            threads = [threading.Thread(target=stop.wait) for _ in range(1100)]
            for thread in threads:
                thread.start()
            stop.wait(0.2)
            stop.set()
        """
    )
    bench.extension("agent")

    async def scenario():
        async with LocalLambda(bench.settings(memory_mb=2048, timeout_seconds=10)) as env:
            await (await env.invoke({})).completed()
            return env.events.of("too_many_processes")

    [event] = run(scenario())
    assert event.detail["count"] > 1024


@pytest.mark.skipif(os.getuid() != 0, reason="mounting needs root")
def test_a_tmp_of_its_own_is_limited_and_outlives_a_reset(bench, run):
    bench.handler(
        """
        import os
        def handler(event, context):
            if event.get("exit"):
                os._exit(1)
            found = sorted(os.listdir("/tmp"))
            try:
                with open(f"/tmp/{event['name']}", "wb") as out:
                    for _ in range(event["mb"]):
                        out.write(bytes(1 << 20))
            except OSError as exc:
                return [found, exc.errno]
            return [found, 0]
        """
    )

    async def scenario():
        async with LocalLambda(bench.settings(tmp_mb=8, layer_dir=None)) as env:
            first = (await env.invoke({"name": "a", "mb": 2})).response
            await (await env.invoke({"exit": True})).completed()
            second = (await env.invoke({"name": "b", "mb": 20})).response
            await env.shutdown()
            return first, second

    (found, problem), (found_later, problem_later) = run(scenario())
    assert "a" not in found
    assert problem == 0
    assert "a" in found_later
    assert problem_later == 28


@pytest.mark.skipif(os.getuid() == 0, reason="root may mount")
def test_a_tmp_of_its_own_says_that_it_needs_root(bench, run):
    async def scenario():
        async with LocalLambda(bench.settings(tmp_mb=8)):
            pass

    with pytest.raises(EmulatorError, match="needs root"):
        run(scenario())
