"""The values of rules under one `input` and `data`, and how much work they may still take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from policy_agent.rego.context import Context
from policy_agent.rego.runtime import operations
from policy_agent.rego.values import Value

STEPS_BETWEEN_CHECKS: Final = 20_000


class Scope(dict[int, Value]):
    """Function number -> value of the rule, for as long as `input` and `data` stay the same.

    `with` replaces them, so what it holds for runs in a new scope.

    Attributes:
        held: numbers of rules that held, in any scope of the evaluation.
    """

    __slots__ = ("context", "held", "steps")

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.context = context
        self.held = context.held
        self.steps = STEPS_BETWEEN_CHECKS

    def fork(self) -> Scope:
        """Return an empty scope of the same evaluation.

        Raises:
            EvaluationDeadlineError: the evaluation's time is up.
        """
        self.context.check()
        return Scope(self.context)

    def spend(self, steps: int) -> None:
        """Count steps of work, and look at the clock now and then.

        Raises:
            EvaluationDeadlineError: the evaluation's time is up.
        """
        self.steps -= steps
        if self.steps < 0:
            self.steps = STEPS_BETWEEN_CHECKS
            self.context.check()


def items(scope: Scope, source: Value) -> Sequence[tuple[Value, Value]] | Any:
    """Return what a loop over keys and values runs over."""
    found = operations.items(source)
    scope.steps -= len(found) + 1
    return _watched(scope, found) if scope.steps < 0 else found


def elements(scope: Scope, source: Value) -> Sequence[Value] | Any:
    """Return what a loop over values runs over."""
    found = operations.elements(source)
    scope.steps -= len(found) + 1
    return _watched(scope, found) if scope.steps < 0 else found


def _watched(scope: Scope, found: Sequence[Any]) -> Any:
    scope.steps = STEPS_BETWEEN_CHECKS
    scope.context.check()
    if len(found) < STEPS_BETWEEN_CHECKS:
        return found
    return _checked(scope, found)


def _checked(scope: Scope, found: Sequence[Any]) -> Any:
    for index, item in enumerate(found):
        if not index % STEPS_BETWEEN_CHECKS:
            scope.context.check()
        yield item
