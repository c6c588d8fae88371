"""Print problems as OPA's commands do (OPA v1.22 internal/presentation, v1/loader/errors.go).

Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from policy_agent.errors import EvaluationError, PolicyAgentError, PolicyError, PolicyProblem
from policy_agent.publisher.ordered_json import in_order

Problem = PolicyProblem | str

MAX_ERRORS: Final = 10
_LIMIT_REACHED: Final = PolicyProblem("rego_compile_error", "error limit reached")


def problems_of(error: PolicyAgentError) -> list[Problem]:
    """Return what an error reports: problems of a policy, or its own sentence."""
    if isinstance(error, PolicyError):
        return list(error.problems)
    if isinstance(error, EvaluationError):
        return [error.problem]
    return [str(error)]


def limited(problems: list[Problem], limit: int) -> list[Problem]:
    """Return problems, or the first ones and that there are more; a limit of 0 is none."""
    if not 0 < limit < len(problems):
        return problems
    return [*problems[:limit], _LIMIT_REACHED]


def problems_text(problems: Sequence[Problem], *, during: str = "") -> str:
    """Return the text for people.

    Args:
        problems: at least one.
        during: `during loading`, where that is when they occurred.
    """
    suffix = f" {during}:" if during else ":"
    shown = "\n".join(map(_problem_text, problems))
    if len(problems) == 1:
        return f"1 error occurred{suffix} {shown}\n"
    return f"{len(problems)} errors occurred{suffix}\n{shown}\n"


def problems_json(problems: Sequence[Problem]) -> list[msgspec.Raw]:
    """Return OPA's JSON object for each problem."""
    return [in_order(_document(problem)) for problem in problems]


def _document(problem: Problem) -> dict[str, object]:
    if isinstance(problem, str):
        return {"message": problem}
    given = problem.to_json()
    document: dict[str, object] = {"message": problem.message, "code": problem.code}
    for name in ("location", "details"):
        if isinstance(inner := given.get(name), dict):
            document[name] = in_order(inner)
    return document


def _problem_text(problem: Problem) -> str:
    if isinstance(problem, str):
        return problem
    text = str(problem)
    at = problem.location
    if at is not None and not at.file:
        # A query has no name: OPA gives row and column instead.
        return f"{at.row}:{at.col}{text.removeprefix(f':{at.row}')}"
    return text
