"""One question to a policy, planned when it is first asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from policy_agent.errors import EvaluationDeadlineError, EvaluationError
from policy_agent.rego.context import Context
from policy_agent.rego.options import UNWATCHED, Watch
from policy_agent.rego.plan import Plan
from policy_agent.rego.planner.planner import Planner
from policy_agent.rego.runtime.documents import BaseDocuments
from policy_agent.rego.runtime.runner import PlanRunner
from policy_agent.rego.values import Value

_ENTRY = "entry"

MakePlan = Callable[[Planner, str], Plan]


class NewPlanner(Protocol):
    """Makes planners of one policy."""

    def __call__(self, *, by_key: bool) -> Planner:
        """Return a planner."""


class Question:
    """A plan that is ready to run.

    Where its evaluation fails it is evaluated a second time as OPA does always: of a set or object
    that rules define only the members that are looked up. What fails elsewhere is not met then.

    Args:
        make: plans the question under a name.
        new_planner: makes a planner; see `Planner` for `by_key`.
        data: the base documents.
        watch: what takes part in evaluating; a question that is watched is evaluated once.

    Raises:
        PolicyError: the question cannot be planned.
    """

    def __init__(
        self, make: MakePlan, new_planner: NewPlanner, data: BaseDocuments, watch: Watch = UNWATCHED
    ) -> None:
        self._make = make
        self._new_planner = new_planner
        self._data = data
        self._watch = watch
        self._runner = self._planned(by_key=False)
        self._by_key: PlanRunner | None = None

    @property
    def called(self) -> frozenset[str]:
        """Return the built-in functions that may be called."""
        functions = self._runner.program.policy.static.builtin_funcs
        return frozenset(function.name for function in functions)

    def rows(self, value: Value, context: Context) -> list[dict[str, Value]]:
        """Return the result set.

        Raises:
            EvaluationError: rules conflict, or it took longer than allowed.
        """
        try:
            return self._runner.query(_ENTRY, value, context)
        except EvaluationDeadlineError:
            raise
        except EvaluationError:
            if self._watch is not UNWATCHED:
                raise
            if self._by_key is None:
                self._by_key = self._planned(by_key=True)
            context.prints.clear()
            context.held.clear()
            return self._by_key.query(_ENTRY, value, context)

    def _planned(self, *, by_key: bool) -> PlanRunner:
        planner = self._new_planner(by_key=by_key)
        entry = self._make(planner, _ENTRY)
        return PlanRunner(planner.policy([entry]), self._data, self._watch.resolve)
