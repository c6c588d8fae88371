"""Run tests on a second, independent engine and say where it disagrees.

An engine that cannot run a policy or a test has no opinion, which is no disagreement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from policy_agent.errors import EvaluationError, PolicyError, PolicyProblem
from policy_agent.model import UNDEFINED, JsonObject
from policy_agent.publisher.needed_modules import needed_modules
from policy_agent.publisher.rego_tests import RegoTest
from policy_agent.publisher.test_run import RegoTestResult
from policy_agent.rego import Policy
from policy_agent.rego.parse import parse_module


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """What the other engine said of the tests.

    Attributes:
        disagreements: a sentence for each test that ended otherwise.
        silences: a sentence for each test, or for all of a package, of which it has no opinion.
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
    """Run the tests of `results` again, on regopy, and compare.

    A module that regopy cannot compile silences only the tests that need it: then the tests of each
    package are run with no other modules than theirs.
    """
    asked = [result for result in results if not result.test.is_skipped]
    opinions = _Opinions(data, deadline_seconds)
    try:
        opinions.ask(modules, asked)
    except PolicyError:
        parsed = [parse_module(*each) for each in modules.items()]
        for package, group in groupby(asked, key=lambda result: result.test.package):
            own = list(group)
            needed = needed_modules(parsed, own[0].test.location.file)
            try:
                opinions.ask({file: modules[file] for file in needed}, own)
            except PolicyError as exc:
                opinions.silences.append(f"{package}: no second opinion: {exc}")
    return SecondOpinion(tuple(opinions.disagreements), tuple(opinions.silences))


class _Opinions:
    """What is found as tests are run."""

    def __init__(self, data: JsonObject, deadline_seconds: float) -> None:
        self._data = data
        self._deadline_seconds = deadline_seconds
        self.disagreements: list[str] = []
        self.silences: list[str] = []

    def ask(self, modules: Mapping[str, str], results: Sequence[RegoTestResult]) -> None:
        """Run the tests of `results` with no other modules.

        Raises:
            PolicyError: regopy cannot compile the modules; no test was run.
        """
        policy = Policy.from_modules(
            modules, self._data, deadline_seconds=self._deadline_seconds, engine="regopy"
        )
        with policy:
            for result in results:
                name = result.test.full_name
                opinion = _opinion(policy, result.test)
                if isinstance(opinion, PolicyProblem) and _is_inability(opinion):
                    self.silences.append(f"{name}: no second opinion: {opinion.message}")
                elif (outcome := _outcome(opinion)) != result.outcome:
                    self.disagreements.append(f"{name}: {result.outcome}, but {outcome} on regopy")


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
