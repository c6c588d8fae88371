"""Run tests on a second, independent engine and say where it disagrees.

An engine that cannot run a policy or a test has no opinion, which is no disagreement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policy_agent.errors import EvaluationError, PolicyError, PolicyProblem
from policy_agent.model import UNDEFINED, JsonObject
from policy_agent.publisher.rego_tests import RegoTest
from policy_agent.publisher.test_run import RegoTestResult
from policy_agent.rego import Policy


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """What the other engine said of the tests.

    Attributes:
        disagreements: a sentence for each test that ended otherwise.
        silences: a sentence for each test, or for all, of which it has no opinion.
    """

    disagreements: tuple[str, ...] = ()
    silences: tuple[str, ...] = ()


def second_opinion(
    modules: Mapping[str, str],
    data: JsonObject,
    results: Sequence[RegoTestResult],
    *,
    deadline_seconds: float,
) -> SecondOpinion:
    """Run the tests of `results` again, on regopy, and compare."""
    try:
        policy = Policy.from_modules(
            modules, data, deadline_seconds=deadline_seconds, engine="regopy"
        )
    except PolicyError as exc:
        return SecondOpinion(silences=(f"no second opinion: {exc}",))
    disagreements, silences = [], []
    with policy:
        for result in results:
            if result.test.is_skipped:
                continue
            name = result.test.full_name
            opinion = _opinion(policy, result.test)
            if isinstance(opinion, PolicyProblem) and _is_inability(opinion):
                silences.append(f"{name}: no second opinion: {opinion.message}")
            elif (outcome := _outcome(opinion)) != result.outcome:
                disagreements.append(f"{name}: {result.outcome}, but {outcome} on regopy")
    return SecondOpinion(tuple(disagreements), tuple(silences))


def _opinion(policy: Policy, test: RegoTest) -> bool | PolicyProblem:
    if test.has_cases or "#" in test.name:
        why = "cases that fail leave no trace" if test.has_cases else "it has no name of its own"
        return PolicyProblem("eval_internal_error", why)
    opinion = _passes(policy, test, UNDEFINED)
    if isinstance(opinion, PolicyProblem) and _is_inability(opinion):
        # With no input at all regopy ends its process where `with input.x` is used; to a policy
        # an empty one differs only in whether `input` itself is defined.
        opinion = _passes(policy, test, {})
    return opinion


def _passes(policy: Policy, test: RegoTest, given: Any) -> bool | PolicyProblem:
    try:
        return policy.evaluate(test.path, given) is True
    except EvaluationError as exc:
        return exc.problem


def _outcome(opinion: bool | PolicyProblem) -> str:
    if isinstance(opinion, PolicyProblem):
        return "ERROR"
    return "PASS" if opinion else "FAIL"


def _is_inability(error: PolicyProblem) -> bool:
    """Return whether an error is about the engine, not about the policy."""
    return error.code in {"eval_internal_error", "eval_cancel_error", "rego_type_error"}
