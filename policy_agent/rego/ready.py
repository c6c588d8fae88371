"""Ready plans: policies that a bundle brings compiled, so that no front end is needed to decide.

Questions that are no document (queries) are compiled from the bundle's sources on first use.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from policy_agent.errors import EvaluationError, PolicyError, PolicyProblem
from policy_agent.model import DataPath, Evidence, JsonObject
from policy_agent.rego.codegen.names import INPUT_AND_DATA
from policy_agent.rego.context import Context
from policy_agent.rego.options import CHANGING_BUILTINS, NETWORK_BUILTINS, Query
from policy_agent.rego.plan_file import open_plan
from policy_agent.rego.runtime.documents import BaseDocuments
from policy_agent.rego.runtime.operations import dot
from policy_agent.rego.runtime.runner import PlanRunner
from policy_agent.rego.values import Value, to_json
from policy_agent.rego.work import watched_by

if TYPE_CHECKING:
    from policy_agent.rego.compiled import CompiledPolicy
    from policy_agent.rego.results import QueryResult

_HIDDEN_NAME = "system"
_Path = tuple[str | int, ...]


class ReadyPolicy:
    """A plan and data, ready to be asked; immutable and safe to share between threads.

    A path is answered by its entry point. One without is looked up in the longest entry point above
    it if a rule is there, and in the base documents otherwise.

    Args:
        raw: `plan.json`.
        data: the base documents.
        deadline_seconds: limit for one evaluation.
        compile_sources: makes the same policy from its sources.

    Raises:
        PolicyError: the plan is none, or one that cannot be run.
    """

    def __init__(
        self,
        raw: bytes,
        data: JsonObject,
        *,
        deadline_seconds: float,
        compile_sources: Callable[[], CompiledPolicy],
    ) -> None:
        policy = open_plan(raw)
        called = {each.name for each in policy.static.builtin_funcs}
        self._is_repeatable = not called & CHANGING_BUILTINS
        refused = called & NETWORK_BUILTINS
        if refused:
            names = ", ".join(sorted(refused))
            message = f"unsafe built-in function calls in plan: {names}"
            raise PolicyError([PolicyProblem("rego_type_error", message)])
        if not policy.plans:
            # It would answer nothing, whatever the sources say.
            raise PolicyError([PolicyProblem("plan_error", "the plan has no entry points")])
        self._documents = BaseDocuments(data)
        self._runner = PlanRunner(policy, self._documents)
        self._deadline_seconds = deadline_seconds
        self._compile_sources = compile_sources
        self._compiled: CompiledPolicy | None = None
        self._lock = threading.Lock()
        self._names: dict[_Path, str] = {_path_of(name): name for name in self._runner.entrypoints}
        self._rules = frozenset(
            func.path[1:] for func in policy.funcs if len(func.params) == INPUT_AND_DATA
        )
        self.rules = frozenset("/".join(path) for path in self._rules if path)

    def evaluate(
        self,
        path: DataPath,
        value: Any,
        *,
        strict: bool = False,
        evidence: Evidence | None = None,
    ) -> Any:
        """Return the value of a document below `data`, or UNDEFINED.

        Raises:
            EvaluationError: rules conflict, or it took longer than allowed.
        """
        entrypoint = self._entrypoint_for(tuple(path))
        if entrypoint is None:
            self._documents.make_plain(path)
        found: Value = self._documents.root
        deadline = time.monotonic() + self._deadline_seconds
        context = Context(
            deadline=deadline, allow_net=frozenset(), strict=strict, evidence=evidence
        )
        if entrypoint is not None:
            try:
                found = self._runner.evaluate(self._names[entrypoint], value, context)
            except PolicyError as exc:
                # Of a function that had not been read before.
                raise EvaluationError(exc.problems[0]) from exc
        for key in path[len(entrypoint or ()) :]:
            found = dot(found, key)
        if not path and isinstance(found, dict):
            found = {name: item for name, item in found.items() if name != _HIDDEN_NAME}
        with watched_by(context.check):
            return to_json(found)

    def query(self, text: str, value: Any) -> list[JsonObject]:
        """Return the variables of every solution of a query.

        Raises:
            PolicyError: the text is not a query, or not one of this policy.
            EvaluationError: as for `evaluate`.
        """
        return self._sources().query(text, value)

    def results(self, query: Query, value: Any, *, strict: bool = False) -> list[QueryResult]:
        """Return every solution of a query, with the values of its expressions.

        Raises:
            PolicyError: the text is not a query, or not one of this policy.
            EvaluationError: as for `evaluate`.
        """
        return self._sources().results(query, value, strict=strict)

    def is_repeatable(self, path: DataPath) -> bool:
        """Tell whether no function of the plan, asked for by `path` or not, may change its mind."""
        del path
        return self._is_repeatable

    def close(self) -> None:
        """Do nothing: there is nothing but memory to release."""

    def _entrypoint_for(self, path: _Path) -> _Path | None:
        """Return the entry point that answers a path, None where none does."""
        if path in self._names:
            return path
        above = [path[:length] for length in range(len(path), -1, -1)]
        longest = next((each for each in above if each in self._names), None)
        return longest if any(each in self._rules for each in above) else None

    def _sources(self) -> CompiledPolicy:
        with self._lock:
            if self._compiled is None:
                self._compiled = self._compile_sources()
            return self._compiled


def _path_of(entrypoint: str) -> _Path:
    return tuple(entrypoint.split("/")) if entrypoint else ()
