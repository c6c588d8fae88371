"""A problem of a policy with the lines of detail that OPA prints below it.

Pure. Follows OPA v1.22 v1/ast/errors.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from policy_agent.errors import Location, PolicyProblem

COMPILE_ERROR: Final = "rego_compile_error"
TYPE_ERROR: Final = "rego_type_error"
RECURSION_ERROR: Final = "rego_recursion_error"


class CheckProblem(PolicyProblem, frozen=True):
    """One problem that a check found.

    Attributes:
        lines: the details, such as what was given and what is wanted.
        of_unknown: comes of a type that is not known, so likely of another problem.
    """

    lines: tuple[str, ...] = ()
    of_unknown: bool = False

    def __str__(self) -> str:
        """Render as OPA does: the details follow on lines of their own."""
        return "\n\t".join((PolicyProblem.__str__(self), *self.lines))


def type_problem(
    location: Location,
    message: str,
    lines: Iterable[str] = (),
    *,
    of_unknown: bool = False,
) -> CheckProblem:
    """Return a type error."""
    return CheckProblem(TYPE_ERROR, message, location, tuple(lines), of_unknown)


def in_order(problems: Iterable[PolicyProblem]) -> list[PolicyProblem]:
    """Return problems by file, row, column and text."""
    return sorted(problems, key=_place)


def _place(problem: PolicyProblem) -> tuple[str, int, int, str]:
    at = problem.location
    return (at.file, at.row, at.col, str(problem)) if at else ("\U0010ffff", 0, 0, str(problem))
