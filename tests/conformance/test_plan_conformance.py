"""OPA's plans of its own conformance cases give OPA's results: our back end without our front end.

The folders are those about the language; built-ins have their own tests.
"""

from __future__ import annotations

import pytest

from policy_agent.errors import EvaluationError
from policy_agent.model import UNDEFINED
from policy_agent.rego.context import Context
from policy_agent.rego.plan_json import read_plan
from policy_agent.rego.runtime.runner import PlanRunner
from policy_agent.rego.values import to_json
from tests.conformance import cases
from tests.conformance.opa_plans import plan_of
from tests.support import OPA

FOLDERS = [
    "baseandvirtualdocs",
    "completedoc",
    "compositereferences",
    "comprehensions",
    "dataderef",
    "defaultkeyword",
    "disjunction",
    "elsekeyword",
    "every",
    "functions",
    "indexing",
    "indirectreferences",
    "inputvalues",
    "negation",
    "nestedreferences",
    "partialdocconstants",
    "partialiter",
    "partialobjectdoc",
    "partialsetdoc",
    "planner-ir",
    "refheads",
    "undos",
    "varreferences",
    "virtualdocs",
    "withkeyword",
]

# OPA's store takes the number 2 in `data[2]` for the key "2"; a plan does not know the store.
DIFFERENT = {"v1/data/toplevel integer", "v1/data/nested integer"}

pytestmark = [
    pytest.mark.opa,
    pytest.mark.skipif(OPA is None, reason="no opa: set OPA_BIN or put it on the PATH"),
    pytest.mark.skipif(cases.directory() is None, reason="OPA's cases are not on this machine"),
]


@pytest.mark.parametrize("folder", FOLDERS)
def test_opas_plans_give_opas_results(folder):
    wrong = {}
    ran = 0
    for case in cases.load("v1", folder):
        if case.document is None or case.input_term is not None:
            continue
        raw = plan_of(case)
        if raw is None:
            continue
        ran += 1
        problem = problem_with(case, raw)
        if problem:
            wrong[case.name] = problem
    assert wrong.keys() == {name for name in DIFFERENT if folder == "dataderef"}, wrong
    assert ran


def problem_with(case: cases.Case, raw: bytes) -> str:
    """Run a plan; return how the outcome differs from the wanted one, "" when it does not."""
    path, variable = case.document or ((), "")
    wants_error = case.want_error_code is not None or case.want_error is not None
    runner = PlanRunner(read_plan(raw), case.data)
    try:
        value = runner.evaluate("/".join(path), case.input, Context(strict=case.strict))
    except EvaluationError as exc:
        fits = case.want_error_code in (None, exc.problem.code) and (case.want_error or "") in str(
            exc
        )
        return "" if wants_error and fits else str(exc)
    if wants_error:
        return f"no error but {value!r}"
    got = [] if value is UNDEFINED else [{variable: to_json(value)}]
    if case.want_result is None:
        return "" if bool(got) == case.want_defined else f"got {got!r}"
    same = cases.same_results(got, case.want_result, sort_bindings=case.sort_bindings)
    return "" if same else f"got {got!r}, want {case.want_result!r}"
