"""The fixture `local_lambda` for tests of functions and extensions; installed with the package.

    def test_it_answers(local_lambda):
        async def scenario():
            async with local_lambda(Path("function"), "app.handler", layer_dir=layer) as env:
                assert (await env.invoke({"n": 1})).response == 2
        asyncio.run(scenario())

A failed test's report shows the output and the events of each environment that it used.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from policy_agent.emulator.sandbox import LocalLambda

_USED = pytest.StashKey["list[LocalLambda]"]()


@pytest.fixture
def local_lambda(request: pytest.FixtureRequest) -> Callable[..., LocalLambda]:
    """Make local Lambdas: `local_lambda(function_dir, handler, **settings)`.

    Settings are those of `LambdaSettings`; with `max_concurrency` it is a Managed Instance. Enter
    the result with `async with`.
    """
    # Late: every test run of whoever has the package installed loads this plugin.
    from policy_agent.emulator.managed import ManagedLambda
    from policy_agent.emulator.sandbox import LocalLambda
    from policy_agent.emulator.settings import LambdaSettings

    used = request.node.stash.setdefault(_USED, [])

    def make(function_dir: Path, handler: str, **settings: Any) -> LocalLambda:
        kind = ManagedLambda if "max_concurrency" in settings else LocalLambda
        environment = kind(LambdaSettings(function_dir, handler, **settings))
        used.append(environment)
        return environment

    return make


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what happened in the environments of a failed test."""
    report = yield
    if report.failed:
        for environment in item.stash.get(_USED, ()):
            output = "\n".join(f"[{line.source}] {line.text}" for line in environment.logs)
            report.sections.append(("local Lambda: output", output))
            report.sections.append(("local Lambda: events", environment.events.to_text()))
    return report
