"""Evaluate the entry points of a plan."""

from __future__ import annotations

from typing import Any

from policy_agent.errors import EvaluationError, PolicyAgentError, PolicyProblem
from policy_agent.model import UNDEFINED
from policy_agent.rego import plan
from policy_agent.rego.builtins import catalog
from policy_agent.rego.codegen.program import Program, Resolve, StartAgain
from policy_agent.rego.context import Context
from policy_agent.rego.runtime.documents import BaseDocuments
from policy_agent.rego.runtime.scope import Scope
from policy_agent.rego.values import Value
from policy_agent.rego.work import watched_by


class PlanRunner:
    """A plan over one `data` document; safe to share between threads.

    Args:
        policy: the plan.
        data: the base documents; never changed but for reading what is late.
        resolve: finds the built-in functions.

    Raises:
        PolicyError: the plan calls functions or built-ins that do not exist.
    """

    def __init__(
        self,
        policy: plan.Policy,
        data: Any,
        resolve: Resolve = catalog.resolve,
    ) -> None:
        documents = data if isinstance(data, BaseDocuments) else BaseDocuments(data)
        self.data = documents.root
        self.program = Program(policy, resolve, documents.prepare if documents.has_late else None)

    @property
    def entrypoints(self) -> list[str]:
        """Return the names of the plan's entry points."""
        return self.program.entrypoints

    def query(
        self,
        entrypoint: str,
        input: Value = UNDEFINED,  # noqa: A002
        context: Context | None = None,
    ) -> list[dict[str, Value]]:
        """Return the result set of an entry point: one object of bindings per solution.

        Raises:
            PolicyError: there is no such entry point.
            EvaluationError: the policy conflicts with itself, a built-in failed strictly, or the
                deadline passed.
        """
        context = context or Context()
        while True:
            results: list[dict[str, Value]] = []
            try:
                run = self.program.entrypoint(entrypoint)
                with watched_by(context.check):
                    run(Scope(context), input, self.data, results)
            except StartAgain as again:
                if context.deadline is not None:
                    context.deadline += again.seconds
                context.check()
                context.held.clear()
            except EvaluationError as exc:
                self._locate(exc)
                raise
            except PolicyAgentError:
                raise
            except RecursionError as exc:
                raise _internal("rules call each other too deeply") from exc
            except Exception as exc:  # a plan that OPA would not have made
                raise _internal(f"{type(exc).__name__}: {exc}") from exc
            else:
                if context.evidence is not None:
                    context.evidence.rules = self.program.rules(context.held)
                    context.evidence.nd_builtin_cache = context.nd_cache
                return results

    def evaluate(
        self,
        entrypoint: str,
        input: Value = UNDEFINED,  # noqa: A002
        context: Context | None = None,
    ) -> Value:
        """Return the value of the document an entry point stands for, or UNDEFINED.

        Raises:
            PolicyError: there is no such entry point.
            EvaluationError: as `query`.
        """
        results = self.query(entrypoint, input, context)
        return results[0].get("result", UNDEFINED) if results else UNDEFINED

    def _locate(self, error: EvaluationError) -> None:
        """Add the place in the policy where evaluation ended."""
        problem = error.problem
        location = self.program.location_of(error.__traceback__)
        if location is None or problem.location is not None:
            return
        where = self.program.policy.source_location(location)
        error.problem = PolicyProblem(problem.code, problem.message, where)
        error.args = (str(error.problem),)


def _internal(message: str) -> EvaluationError:
    return EvaluationError(PolicyProblem("eval_internal_error", message))
