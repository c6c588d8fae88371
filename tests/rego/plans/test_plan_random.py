"""Generated code does what the plainest interpreter does, on random plans."""

from __future__ import annotations

import random

import pytest

from policy_agent.errors import EvaluationError
from policy_agent.model import UNDEFINED
from policy_agent.rego import plan
from policy_agent.rego.runtime.runner import PlanRunner
from tests.rego.plans.plain_interpreter import RESULT, STRINGS, Interpreter, random_block
from tests.rego.plans.plan_building import block, policy

DATA = {"a": 1, "b": {"a": "b", "b": {"a": "c"}}}
INPUTS = (
    {"a": {"b": 1, "c": [True, "a"]}, "b": "a", "c": [1, {"a": 1}]},
    DATA,
    [{"a": 1}, {"b": True}, "a"],
    UNDEFINED,
)


def outcome(run) -> str:
    try:
        return repr(run())
    except EvaluationError as exc:
        return exc.problem.code


@pytest.mark.parametrize("seed", range(10))
def test_generated_code_agrees_with_a_plain_interpreter(seed):
    chance = random.Random(seed)
    for _ in range(40):
        blocks = [random_block(chance) for _ in range(chance.randint(1, 3))]
        start = block(plan.MakeArrayStmt(0, RESULT))
        end = block(plan.ReturnLocalStmt(RESULT))
        func = plan.Func("g0.data.t.p", (0, 1), RESULT, (start, *blocks, end))
        runner = PlanRunner(policy(func, strings=STRINGS), DATA)
        for document in INPUTS:
            plain = Interpreter(document, DATA)

            def interpret(plain=plain, blocks=blocks):
                for item in blocks:
                    plain.run(item)
                return plain.value(RESULT)

            got = outcome(lambda runner=runner, document=document: runner.evaluate("t/p", document))
            assert got == outcome(interpret), runner.program.source("g0.data.t.p")
