"""Policies evaluated by regopy, for comparison with our own engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

from policy_agent.errors import EvaluationError, PolicyError, PolicyProblem
from policy_agent.model import UNDEFINED, DataPath, Evidence, JsonObject
from policy_agent.rego.options import Query
from policy_agent.rego.results import QueryResult
from policy_agent.rego.second_opinion import check, wording
from policy_agent.rego.second_opinion.engine import Engine

_HIDDEN_NAME = "system"


class SecondOpinion:
    """A policy in regopy's child process; close it after use."""

    def __init__(
        self, engine: Engine, definitions: check.Definitions, data_names: Iterable[str]
    ) -> None:
        self._engine = engine
        self._definitions = definitions
        self.rules = frozenset("/".join(path) for path in definitions.rules)
        defined = (path[0] for path in (*definitions.rules, *definitions.functions))
        self._names = sorted({*defined, *data_names} - {_HIDDEN_NAME})

    @classmethod
    def compile(
        cls, modules: Mapping[str, str], data: JsonObject, *, deadline_seconds: float
    ) -> Self:
        """Compile Rego v1 modules over base documents.

        Raises:
            PolicyError: regopy cannot run the policy, or would run it as something else.
        """
        definitions, calls = check.check_modules(modules)
        engine = Engine(modules, wording.encode_value(data), deadline_seconds=deadline_seconds)
        try:
            names = {check.builtin_name(call) for call in calls}
            check.refuse_unknown(calls, engine.unknown_builtins(names))
            engine.load()
        except BaseException:
            engine.close()
            raise
        return cls(engine, definitions, data)

    def evaluate(
        self,
        path: DataPath,
        value: Any,
        *,
        strict: bool = False,
        evidence: Evidence | None = None,
    ) -> Any:
        """Return the value of a document below `data`, or UNDEFINED; never strictly.

        There is no evidence: regopy does not tell.

        Raises:
            EvaluationError: rules conflict, or the engine failed; the next call is unaffected.
        """
        segments = tuple(path)
        term = wording.encode_value(value)
        if segments:
            return self._document(segments, term)
        # regopy's own root document lacks the base data.
        documents = {name: self._document((name,), term) for name in self._names}
        return {name: value for name, value in documents.items() if value is not UNDEFINED}

    def query(self, text: str, value: Any) -> list[JsonObject]:
        """Return the variables of every solution of a query.

        Raises:
            PolicyError: the text is not a query that can be run faithfully.
            EvaluationError: as for `evaluate`.
        """
        calls = check.check_query(text, self._definitions)
        names = {check.builtin_name(call) for call in calls}
        check.refuse_unknown(calls, self._engine.unknown_builtins(names))
        query = wording.truth_query(wording.one_spelling("", text))
        return wording.read_solutions(self._engine.run(query, wording.encode_value(value)))

    def results(self, query: Query, value: Any, *, strict: bool = False) -> list[QueryResult]:
        """Refuse: regopy does not tell the values of expressions.

        Raises:
            PolicyError: always.
        """
        raise PolicyError([PolicyProblem("rego_compile_error", "regopy cannot capture values")])

    def is_repeatable(self, path: DataPath) -> bool:
        """Tell nothing: regopy does not say what a document is made of."""
        del path
        return False

    def close(self) -> None:
        """End regopy's process."""
        self._engine.close()

    def _document(self, segments: tuple[str | int, ...], term: bytes) -> Any:
        if self._definitions.is_function(segments):
            return UNDEFINED
        try:
            answer = self._engine.run(wording.path_query(segments), term)
        except PolicyError as exc:
            message = exc.problems[0].message
            raise EvaluationError(PolicyProblem("eval_internal_error", message)) from exc
        return wording.read_document(answer)
