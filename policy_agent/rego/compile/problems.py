"""Errors of a compilation, collected until a stage ends.

Pure. Codes are OPA's (v1/ast/errors.go).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from policy_agent.errors import Location, PolicyError, PolicyProblem

COMPILE_ERROR: Final = "rego_compile_error"
TYPE_ERROR: Final = "rego_type_error"
UNSAFE_ERROR: Final = "rego_unsafe_var_error"


class Problems:
    """The errors found so far.

    Attributes:
        found: in the order in which they were found.
        ending: how many of them end the compilation with their stage.
    """

    def __init__(self) -> None:
        self.found: list[PolicyProblem] = []
        self.ending = 0

    def add(self, code: str, message: str, location: Location | None) -> None:
        """Record an error that leaves nothing for later stages to see."""
        self.extend([PolicyProblem(code, message, location)])

    def extend(self, problems: Iterable[PolicyProblem]) -> None:
        """Record errors as `add` does."""
        before = len(self.found)
        self.found += problems
        self.ending += len(self.found) - before

    def note(self, problems: Iterable[PolicyProblem]) -> None:
        """Record errors in spite of which later stages may find more."""
        self.found += problems

    def end_stage(self) -> None:
        """End the compilation when an error was added.

        Raises:
            PolicyError: every error, the noted ones too, in the order in which they were found.
        """
        if self.ending:
            self.raise_found()

    def raise_found(self) -> None:
        """End the compilation when there are errors.

        Raises:
            PolicyError: as for `end_stage`.
        """
        if self.found:
            raise PolicyError(self.found)
