"""Run one conformance case from text to result, as OPA's v1/topdown/exported_test.go does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from policy_agent.errors import EvaluationError, PolicyError
from policy_agent.model import UNDEFINED
from policy_agent.rego.check.stages import PolicyChecks, compile_checked
from policy_agent.rego.compile.compiler import Compiled, compile_modules, compile_query
from policy_agent.rego.context import Context
from policy_agent.rego.parse import parse_module, parse_query
from policy_agent.rego.planner.planner import Planner
from policy_agent.rego.runtime.runner import PlanRunner
from policy_agent.rego.values import RegoSet, Value, to_json
from tests.conformance.cases import Case, same_results


def failure(case: Case) -> str:
    """Run a case and return what is wrong with the outcome, "" when nothing is."""
    try:
        rows = solutions(case)
    except (PolicyError, EvaluationError) as exc:
        return _wrong_error(case, exc)
    if case.want_error_code is not None or case.want_error is not None:
        return f"no error, but {rows!r}"
    got = _distinct([{name: to_json(value) for name, value in row.items()} for row in rows])
    want = case.want_result or []
    if same_results(got, _distinct(want), sort_bindings=case.sort_bindings):
        return ""
    return f"got {got!r}, want {want!r}"


def solutions(case: Case) -> list[dict[str, Value]]:
    """Return the bindings of each solution of a case.

    Raises:
        PolicyError: the modules or the query do not compile.
        EvaluationError: evaluation failed.
    """
    v0 = case.syntax == "v0"
    modules = [
        parse_module(f"test-{index}.rego", text, v0=v0) for index, text in enumerate(case.modules)
    ]
    checks = PolicyChecks()
    compiled = compile_checked(modules, checks)
    with _environment(case):
        given = case.input
        if case.input_term is not None:
            given = _ask(f"x = {case.input_term}", compile_modules([]), PolicyChecks())[0]["x"]
        return _ask(case.query, compiled, checks, case.data, given, strict=case.strict)


def _ask(
    text: str,
    compiled: Compiled,
    checks: PolicyChecks,
    data: Any = None,
    given: Value = UNDEFINED,
    *,
    strict: bool = False,
) -> list[dict[str, Value]]:
    query = compile_query(parse_query(text), compiled, checks=checks)
    planner = Planner(compiled)
    policy = planner.policy([planner.query(query)])
    return PlanRunner(policy, data or {}).query("query", given, Context(strict=strict))


@contextmanager
def _environment(case: Case) -> Iterator[None]:
    kept = dict(os.environ)
    os.environ.update(case.env)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


def _distinct(rows: list[dict[str, Value]]) -> list[dict[str, Value]]:
    return list(RegoSet.of(rows).members.values())


def _wrong_error(case: Case, exc: PolicyError | EvaluationError) -> str:
    if case.want_error_code is None and case.want_error is None:
        return f"unexpected {exc}"
    text = str(exc)
    if case.want_error is not None and case.want_error not in text:
        return f"error {text!r}, want {case.want_error!r}"
    code = exc.problem.code if isinstance(exc, EvaluationError) else exc.problems[0].code
    if case.want_error_code is not None and code != case.want_error_code:
        return f"error code {code}, want {case.want_error_code}: {text}"
    return ""
