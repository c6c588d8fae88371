"""The engine's door: Rego modules and data in, values out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from policy_agent.errors import PolicyError, PolicyProblem
from policy_agent.model import UNDEFINED, DataPath, Evidence, JsonObject
from policy_agent.rego.options import DEFAULT_OPTIONS, NO_VERSIONS, CompileOptions, Query
from policy_agent.rego.values import with_exact_numbers

if TYPE_CHECKING:
    from policy_agent.rego.compiled import CompiledPolicy
    from policy_agent.rego.results import QueryResult

DEFAULT_DEADLINE_SECONDS = 1.0

EngineName = Literal["compiled", "regopy"]


class Engine(Protocol):
    """What evaluates behind a policy; documents are as in `Policy`."""

    rules: frozenset[str]

    def evaluate(
        self,
        path: DataPath,
        value: Any,
        *,
        strict: bool = False,
        evidence: Evidence | None = None,
    ) -> Any:
        """Return the value of a document below `data`, or UNDEFINED."""

    def query(self, text: str, value: Any) -> list[JsonObject]:
        """Return the variables of every solution of a query."""

    def results(self, query: Query, value: Any, *, strict: bool = False) -> list[QueryResult]:
        """Return every solution of a query with the values of its expressions."""

    def is_repeatable(self, path: DataPath) -> bool:
        """Tell whether a document depends on nothing but input and data."""

    def close(self) -> None:
        """Release what the engine holds."""


class Policy:
    """A compiled policy, immutable and safe to share between threads; close it after use."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def from_modules(
        cls,
        modules: Mapping[str, str],
        data: JsonObject | None = None,
        *,
        plan: bytes | None = None,
        rego_versions: Mapping[str, int] = NO_VERSIONS,
        deadline_seconds: float = DEFAULT_DEADLINE_SECONDS,
        engine: EngineName = "compiled",
        options: CompileOptions = DEFAULT_OPTIONS,
    ) -> Self:
        """Compile Rego modules over base documents.

        Args:
            modules: file name -> text.
            data: the base documents, an object as `codec.decode_json` gives it (no floats); it must
                not be changed afterwards.
            plan: the same modules as OPA's `plan.json`; they are then not compiled until a
                query asks for it.
            rego_versions: file name -> 0 or 1, the version of Rego it is written in, for those
                that are not in the version that `options` names.
            deadline_seconds: limit for one evaluation.
            engine: `regopy` is an independent implementation to compare with, slower and with
                less of the language; it knows no v0 and no options.
            options: how OPA's commands may compile.

        Raises:
            PolicyError: the policy cannot be parsed, compiled or run faithfully.
        """
        if engine == "regopy":
            # Late: the agent never compares.
            from policy_agent.rego.second_opinion.opinion import SecondOpinion

            opinion = SecondOpinion.compile(modules, data or {}, deadline_seconds=deadline_seconds)
            return cls(opinion)

        def compile_sources() -> CompiledPolicy:
            # Late: an agent that only runs ready plans needs no compiler.
            from policy_agent.rego.compiled import CompiledPolicy

            return CompiledPolicy.compile(
                modules,
                data or {},
                rego_versions=rego_versions,
                deadline_seconds=deadline_seconds,
                options=options,
            )

        if plan is None:
            return cls(compile_sources())
        # Late: most of the engine is not needed to name it.
        from policy_agent.rego.ready import ReadyPolicy

        ready = ReadyPolicy(
            plan, data or {}, deadline_seconds=deadline_seconds, compile_sources=compile_sources
        )
        return cls(ready)

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
        return cls.from_modules(
            bundle.modules,
            bundle.data,
            plan=bundle.plan,
            rego_versions=bundle.rego_versions,
            deadline_seconds=deadline_seconds,
        )

    @property
    def rules(self) -> frozenset[str]:
        """Return every rule's path below `data`, slash-separated; functions are not listed."""
        return self._engine.rules

    def evaluate(
        self,
        path: str | DataPath,
        input: Any = UNDEFINED,  # noqa: A002
        *,
        strict: bool = False,
        is_exact: bool = False,
        evidence: Evidence | None = None,
    ) -> Any:
        """Return the value of a document below `data`, or UNDEFINED.

        Args:
            path: `orders/authz/allow`, or its segments: text as it stands, without escapes, and
                integers as indexes. "" is the whole document, in which `system` is hidden.
            input: the input document, UNDEFINED when there is none.
            strict: a failing built-in function ends the evaluation with its error.
            is_exact: the input holds no floats, as `codec.decode_json` gives it; else all of it
                is looked at first.
            evidence: to be filled, if the evaluation does not fail; not by regopy.

        Raises:
            EvaluationError: rules conflict, or the engine failed; the next call is unaffected.
            EvaluationDeadlineError: it took longer than allowed.
        """
        value = input if is_exact else with_exact_numbers(input)
        return self._engine.evaluate(_segments(path), value, strict=strict, evidence=evidence)

    def query(self, text: str, input: Any = UNDEFINED) -> list[JsonObject]:  # noqa: A002
        """Return the variables of every solution of a query, as OPA's query API does.

        A query without variables that holds gives one empty object, and so does a single false
        expression: its value is among `results`, or read from a variable, as in `x := 1 == 2`.

        Raises:
            PolicyError: the text is not a query that can be run faithfully.
            EvaluationError: as for `evaluate`.
        """
        return self._engine.query(text, with_exact_numbers(input))

    def results(
        self,
        query: Query,
        input: Any = UNDEFINED,  # noqa: A002
        *,
        strict: bool = False,
    ) -> list[QueryResult]:
        """Return every solution of a query with the values of its expressions, as `opa eval` does.

        Args:
            query: the query and what holds around it.
            input: the input document, UNDEFINED when there is none.
            strict: a failing built-in function ends the evaluation with its error.

        Raises:
            PolicyError: the text is not a query that can be run faithfully.
            EvaluationError: as for `evaluate`.
        """
        return self._engine.results(query, with_exact_numbers(input), strict=strict)

    def plan(self, entrypoints: Sequence[str] = ()) -> bytes:
        """Return the policy as OPA's `plan.json`.

        Args:
            entrypoints: the documents below `data` that can be asked for, slash-separated; without
                any, `data` itself, every package and every rule.

        Raises:
            PolicyError: an entry point is neither, or the engine has no plans.
        """
        plan = getattr(self._engine, "plan", None)
        if plan is None:
            raise PolicyError([PolicyProblem("", "only a compiled policy can be planned")])
        made: bytes = plan(entrypoints)
        return made

    def is_repeatable(self, path: str | DataPath) -> bool:
        """Tell whether a document that was evaluated depends on nothing but input and data.

        False also where that is not known: time, chance, the environment or the network may play
        a part.
        """
        return self._engine.is_repeatable(_segments(path))

    def close(self) -> None:
        """Release what the engine holds."""
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
