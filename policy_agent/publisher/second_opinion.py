"""Run tests on a second, independent engine and say where it disagrees.

An engine that cannot run a policy or a test has no opinion, which is no disagreement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from policy_agent.errors import PolicyError, PolicyProblem
from policy_agent.model import JsonObject
from policy_agent.publisher.rego_tests import RegoTest
from policy_agent.publisher.test_run import RegoTestResult, run_tests
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
    tests = [result.test for result in results if not result.test.is_skipped]
    try:
        policy = Policy.from_modules(
            modules, data, deadline_seconds=deadline_seconds, engine="regopy"
        )
    except PolicyError as exc:
        return SecondOpinion(silences=(f"no second opinion: {exc}",))
    with policy:
        opinions = {test: _opinion(policy, test) for test in tests}
    disagreements, silences = [], []
    for result in results:
        name = result.test.full_name
        opinion = opinions.get(result.test)
        if opinion is None:
            continue
        if opinion.error is not None and _is_inability(opinion.error):
            silences.append(f"{name}: no second opinion: {opinion.error.message}")
        elif opinion.outcome != result.outcome:
            disagreements.append(f"{name}: {result.outcome}, but {opinion.outcome} on regopy")
    return SecondOpinion(tuple(disagreements), tuple(silences))


def _opinion(policy: Policy, test: RegoTest) -> RegoTestResult:
    (result,) = run_tests(policy, [test])
    if result.error is not None and _is_inability(result.error):
        # With no input at all regopy ends its process where `with input.x` is used; to a policy
        # an empty one differs only in whether `input` itself is defined.
        (result,) = run_tests(policy, [test], given={})
    return result


def _is_inability(error: PolicyProblem) -> bool:
    """Return whether an error is about the engine, not about the policy."""
    return error.code in {"eval_internal_error", "eval_cancel_error", "rego_type_error"}
