"""Errors of a compilation, collected until a stage ends.

Pure. Codes are OPA's (v1/ast/errors.go).
"""

from __future__ import annotations

from typing import Final

from policy_agent.errors import Location, PolicyError, PolicyProblem

COMPILE_ERROR: Final = "rego_compile_error"
TYPE_ERROR: Final = "rego_type_error"
UNSAFE_ERROR: Final = "rego_unsafe_var_error"


class Problems:
    """The errors found so far."""

    def __init__(self) -> None:
        self.found: list[PolicyProblem] = []

    def add(self, code: str, message: str, location: Location | None) -> None:
        """Record one error."""
        self.found.append(PolicyProblem(code, message, location))

    def raise_found(self) -> None:
        """End the compilation when there are errors.

        Raises:
            PolicyError: the errors in the order of their places.
        """
        if self.found:
            raise PolicyError(sorted(self.found, key=_place))


def _place(problem: PolicyProblem) -> tuple[str, int, int]:
    at = problem.location
    return ("", 0, 0) if at is None else (at.file, at.row, at.col)
