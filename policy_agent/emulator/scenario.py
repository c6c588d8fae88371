"""Run a script of what happens to a function: invocations, pauses, accidents, the end.

A scenario is a YAML list. Each step has one of these keys:

    - invoke: {"n": 1}     # an event; with `times: 3` as often
      expect: {status: success, response: {"n": 2}, cold: true}
    - idle: 1.5            # seconds, frozen
    - kill: policy-agent   # an extension, or `runtime`
    - spin_down:           # SHUTDOWN; the next invocation finds a new environment
    - vanish:              # the same without SHUTDOWN

`expect` may name `status`, `error_type`, `response`, and `cold`: whether there was an Init.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import yaml

from policy_agent.emulator.generation import RUNTIME
from policy_agent.emulator.invocation import Completion, Invocation
from policy_agent.emulator.sandbox import LocalLambda
from policy_agent.errors import EmulatorError
from policy_agent.model import JsonObject

ACTIONS = ("invoke", "idle", "kill", "spin_down", "vanish")
EXPECTATIONS = ("status", "error_type", "response", "cold")

OnInvocation = Callable[[LocalLambda, Invocation, Completion, bool], None]


@dataclass(frozen=True, slots=True)
class Step:
    """One step; `value` is what stands behind its action."""

    number: int
    action: str
    value: Any
    times: int = 1
    expect: JsonObject = field(default_factory=dict)


def parse_scenario(text: str, source: str) -> list[Step]:
    """Read a scenario.

    Raises:
        EmulatorError: it is not one; the message names the step.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        msg = f"{source}: {exc}"
        raise EmulatorError(msg) from exc
    if not isinstance(document, list):
        msg = f"{source}: a scenario is a list of steps"
        raise EmulatorError(msg)
    return [_parse_step(number, each, source) for number, each in enumerate(document, 1)]


class Scenario:
    """Runs steps, in one environment after the other."""

    def __init__(
        self, new_environment: Callable[[], LocalLambda], on_invocation: OnInvocation
    ) -> None:
        """Prepare to run.

        Args:
            on_invocation: told of each invocation, and whether it was a cold one.
        """
        self._new_environment = new_environment
        self._on_invocation = on_invocation
        self._stack = AsyncExitStack()
        self._environment: LocalLambda | None = None

    async def run(self, steps: list[Step]) -> list[str]:
        """Run all steps and return what was not as expected, a sentence each.

        Raises:
            EmulatorError: a step cannot be carried out.
        """
        problems = []
        async with self._stack:
            for step in steps:
                problems += await self._take(step)
            if self._environment is not None:
                await self._environment.shutdown()
        return problems

    async def _take(self, step: Step) -> list[str]:
        if step.action == "invoke":
            return [
                f"step {step.number}: {problem}"
                for _ in range(step.times)
                for problem in await self._invoke(step)
            ]
        if step.action == "idle":
            await asyncio.sleep(step.value)
        elif step.action == "kill":
            await self._kill(step)
        else:
            await self._end(told=step.action == "spin_down")
        return []

    async def _invoke(self, step: Step) -> list[str]:
        if self._environment is None:
            self._environment = await self._stack.enter_async_context(self._new_environment())
        environment = self._environment
        inits = len(environment.inits)
        invocation = await environment.invoke(step.value)
        completion = await invocation.completed()
        is_cold = len(environment.inits) > inits
        self._on_invocation(environment, invocation, completion, is_cold)
        seen = {
            "status": completion.status,
            "error_type": completion.error_type,
            "cold": is_cold,
        }
        if "response" in step.expect:
            seen["response"] = invocation.response
        return [
            f"{name} is {seen[name]!r}, expected {expected!r}"
            for name, expected in step.expect.items()
            if seen[name] != expected
        ]

    async def _kill(self, step: Step) -> None:
        environment = self._environment
        if environment is None:
            msg = f"step {step.number}: nothing runs"
            raise EmulatorError(msg)
        if step.value == RUNTIME:
            await environment.kill_runtime()
        else:
            await environment.kill_extension(step.value)

    async def _end(self, *, told: bool) -> None:
        environment, self._environment = self._environment, None
        if environment is not None:
            await (environment.shutdown() if told else environment.destroy())


def _parse_step(number: int, step: Any, source: str) -> Step:
    where = f"{source}: step {number}"
    if isinstance(step, str):
        step = {step: None}
    actions = [key for key in step if key in ACTIONS] if isinstance(step, dict) else []
    if len(actions) != 1 or step.keys() - {*actions, "times", "expect"}:
        msg = f"{where}: needs one of {', '.join(ACTIONS)}"
        raise EmulatorError(msg)
    [action] = actions
    value, times, expect = step[action], step.get("times", 1), step.get("expect", {})
    if action != "invoke" and step.keys() - {action}:
        msg = f"{where}: times and expect belong to invoke"
    elif action == "idle" and (type(value) not in (int, float) or value < 0):
        msg = f"{where}: idle takes seconds"
    elif action == "kill" and not isinstance(value, str):
        msg = f"{where}: kill takes an extension's name, or runtime"
    elif type(times) is not int or times < 1:
        msg = f"{where}: times takes a number from 1 on"
    elif not isinstance(expect, dict) or expect.keys() - set(EXPECTATIONS):
        msg = f"{where}: expect may have {', '.join(EXPECTATIONS)}"
    else:
        return Step(number, action, value, times, expect)
    raise EmulatorError(msg)
