"""The engine's door: Rego modules and data in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from policy_agent.errors import EvaluationError, PolicyError, PolicyProblem
from policy_agent.model import UNDEFINED, DataPath, JsonObject
from policy_agent.rego.second_opinion import check, wording
from policy_agent.rego.second_opinion.engine import Engine

DEFAULT_DEADLINE_SECONDS = 1.0
_HIDDEN_NAME = "system"


class Policy:
    """A compiled policy, immutable and safe to share between threads; close it after use."""

    def __init__(
        self, engine: Engine, definitions: check.Definitions, data_names: Iterable[str]
    ) -> None:
        self._engine = engine
        self._definitions = definitions
        self._rules = frozenset("/".join(path) for path in definitions.rules)
        defined = (path[0] for path in (*definitions.rules, *definitions.functions))
        self._names = sorted({*defined, *data_names} - {_HIDDEN_NAME})

    @classmethod
    def from_modules(
        cls,
        modules: Mapping[str, str],
        data: JsonObject | None = None,
        *,
        deadline_seconds: float = DEFAULT_DEADLINE_SECONDS,
    ) -> Self:
        """Compile Rego v1 modules over base documents.

        Args:
            modules: file name -> text.
            data: the base documents, an object.
            deadline_seconds: limit for one evaluation.

        Raises:
            PolicyError: the policy cannot be parsed, compiled or run faithfully.
        """
        definitions, calls = check.check_modules(modules)
        engine = Engine(
            modules, wording.encode_value(data or {}), deadline_seconds=deadline_seconds
        )
        try:
            names = {check.builtin_name(call) for call in calls}
            check.refuse_unknown(calls, engine.unknown_builtins(names))
            engine.load()
        except BaseException:
            engine.close()
            raise
        return cls(engine, definitions, data or ())

    @classmethod
    def from_bundle(
        cls, path: str | Path, *, deadline_seconds: float = DEFAULT_DEADLINE_SECONDS
    ) -> Self:
        """Compile a bundle: an archive, or a directory of policies and data.

        Raises:
            BundleError: it is not a bundle.
            PolicyError: as for `from_modules`.
        """
        # Late: the agent reads bundles itself and never comes here.
        from policy_agent.bundle.directory import read_path

        bundle = read_path(Path(path).name, Path(path))
        return cls.from_modules(bundle.modules, bundle.data, deadline_seconds=deadline_seconds)

    @property
    def rules(self) -> frozenset[str]:
        """Return every rule's path below `data`, slash-separated; functions are not listed."""
        return self._rules

    def evaluate(self, path: str | DataPath, input: Any = UNDEFINED) -> Any:  # noqa: A002
        """Return the value of a document below `data`, or UNDEFINED.

        Args:
            path: `orders/authz/allow`, or its segments: text as it stands, without escapes, and
                integers as indexes. "" is the whole document, in which `system` is hidden.
            input: the input document, UNDEFINED when there is none.

        Raises:
            EvaluationError: rules conflict, or the engine failed; the next call is unaffected.
            EvaluationDeadlineError: it took longer than allowed.
        """
        segments = _segments(path)
        term = wording.encode_value(input)
        if segments:
            return self._document(segments, term)
        # regopy's own root document lacks the base data.
        documents = {name: self._document((name,), term) for name in self._names}
        return {name: value for name, value in documents.items() if value is not UNDEFINED}

    def query(self, text: str, input: Any = UNDEFINED) -> list[JsonObject]:  # noqa: A002
        """Return the variables of every solution of a query, as OPA's query API does.

        A query without variables that holds gives one empty object, and so does a false one: its
        truth must be read from a variable, as in `x := 1 == 2`.

        Raises:
            PolicyError: the text is not a query that can be run faithfully.
            EvaluationError: as for `evaluate`.
        """
        calls = check.check_query(text, self._definitions)
        names = {check.builtin_name(call) for call in calls}
        check.refuse_unknown(calls, self._engine.unknown_builtins(names))
        query = wording.truth_query(wording.one_spelling("", text))
        return wording.read_solutions(self._engine.run(query, wording.encode_value(input)))

    def _document(self, segments: tuple[str | int, ...], term: bytes) -> Any:
        if self._definitions.is_function(segments):
            return UNDEFINED
        try:
            answer = self._engine.run(wording.path_query(segments), term)
        except PolicyError as exc:
            message = exc.problems[0].message
            raise EvaluationError(PolicyProblem("eval_internal_error", message)) from exc
        return wording.read_document(answer)

    def close(self) -> None:
        """End the engine's process."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _segments(path: str | DataPath) -> tuple[str | int, ...]:
    if not isinstance(path, str):
        return tuple(path)
    trimmed = path.strip("/")
    return tuple(trimmed.split("/")) if trimmed else ()
