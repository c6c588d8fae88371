"""Run Rego tests on a policy and judge what they evaluate to."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from policy_agent.errors import EvaluationError, PolicyProblem
from policy_agent.model import UNDEFINED, Evaluator
from policy_agent.publisher.rego_tests import RegoTest

_CASES_UNSUPPORTED = (
    "data-driven tests cannot be judged by this engine: a case that fails leaves no trace"
)


@dataclass(frozen=True, slots=True)
class RegoTestResult:
    """How one test ended: skipped, with an error, or passed or not.

    Attributes:
        has_passed: False for a skipped test and one that ended with an error.
        duration_ns: 0 for a skipped test.
    """

    test: RegoTest
    has_passed: bool
    duration_ns: int
    error: PolicyProblem | None = None

    @property
    def outcome(self) -> str:
        """Return OPA's word: PASS, FAIL, SKIPPED or ERROR."""
        if self.test.is_skipped:
            return "SKIPPED"
        if self.error is not None:
            return "ERROR"
        return "PASS" if self.has_passed else "FAIL"


def run_tests(
    policy: Evaluator, tests: Iterable[RegoTest], *, given: Any = UNDEFINED
) -> list[RegoTestResult]:
    """Run each test; only the value `true` passes.

    Args:
        policy: the policies with their tests.
        tests: what to run.
        given: the input; as in OPA there is none.
    """
    return [_run(policy, test, given) for test in tests]


def _run(policy: Evaluator, test: RegoTest, given: Any) -> RegoTestResult:
    if test.is_skipped:
        return RegoTestResult(test, has_passed=False, duration_ns=0)
    if test.has_cases:
        problem = PolicyProblem("eval_type_error", _CASES_UNSUPPORTED, test.location)
        return RegoTestResult(test, has_passed=False, duration_ns=0, error=problem)
    started_ns = time.perf_counter_ns()
    value, error = None, None
    try:
        value = policy.evaluate(test.path, given)
    except EvaluationError as exc:
        error = exc.problem
    duration_ns = time.perf_counter_ns() - started_ns
    return RegoTestResult(test, value is True, duration_ns, error)
