import importlib.metadata
import textwrap

pytest_plugins = ["pytester"]

TEST_FILE = """
    import asyncio
    from pathlib import Path

    FUNCTION = Path(__file__).parent / "function"

    def test_answers(local_lambda):
        async def scenario():
            async with local_lambda(FUNCTION, "app.handler", timeout_seconds=5) as env:
                assert (await env.invoke(20)).response == 21
                assert [event.kind for event in env.events.of("invoke")] == ["invoke"]
        asyncio.run(scenario())

    def test_answers_many_at_once(local_lambda):
        async def scenario():
            async with local_lambda(FUNCTION, "app.handler", max_concurrency=2) as env:
                both = await asyncio.gather(env.invoke(1), env.invoke(2))
                assert [each.response for each in both] == [2, 3]
        asyncio.run(scenario())

    def test_fails(local_lambda):
        async def scenario():
            async with local_lambda(FUNCTION, "app.handler") as env:
                assert (await env.invoke(1)).response == 3
        asyncio.run(scenario())
    """


def test_others_use_the_fixture_and_see_what_happened_when_a_test_fails(pytester):
    function = pytester.mkdir("function")
    source = "def handler(event, context):\n    print('computing')\n    return event + 1\n"
    (function / "app.py").write_text(source)
    pytester.makepyfile(textwrap.dedent(TEST_FILE))
    plugin = "policy_agent.emulator.pytest_plugin"
    installed = {each.value for each in importlib.metadata.entry_points(group="pytest11")}
    # A checkout that was installed before the entry point came loads it by name.
    words = [] if plugin in installed else ["-p", plugin]
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", *words)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*local Lambda: output*",
            "*runtime* computing",
            "*local Lambda: events*",
            "*spawn runtime*",
        ]
    )
