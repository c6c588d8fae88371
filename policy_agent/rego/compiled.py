"""Policies compiled to Python: the stages from text to functions, as far as questions need them.

Modules are parsed, compiled and checked as a whole, so that nothing wrong is left to be found by a
decision. What is asked for is planned and turned into functions on first use, and kept.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeVar

from msgspec import Struct

from policy_agent.errors import EvaluationError, Location, PolicyError, PolicyProblem
from policy_agent.garbage import making
from policy_agent.model import UNDEFINED, DataPath, Evidence, JsonObject
from policy_agent.rego import ast
from policy_agent.rego.check.stages import PolicyChecks, compile_checked
from policy_agent.rego.compile.compiler import Compiled, compile_query
from policy_agent.rego.compile.index_order import IndexFirst
from policy_agent.rego.context import Context
from policy_agent.rego.options import (
    CHANGING_BUILTINS,
    DEFAULT_OPTIONS,
    NETWORK_BUILTINS,
    NO_VERSIONS,
    UNWATCHED,
    CompileOptions,
    Query,
)
from policy_agent.rego.parse import parse_module, parse_query
from policy_agent.rego.plan_json import write_plan
from policy_agent.rego.planner.emitter import QUERY_FILE
from policy_agent.rego.planner.planner import RESULT, Planner, as_written
from policy_agent.rego.planner.trie import string_prefix
from policy_agent.rego.question import MakePlan, Question
from policy_agent.rego.results import QueryResult, ResultShape, result_shape
from policy_agent.rego.runtime.documents import BaseDocuments
from policy_agent.rego.values import Value, to_json
from policy_agent.rego.work import watched_by

KEPT_QUERIES = 100  # OPA v1.22 v1/server: the prepared queries it keeps
K = TypeVar("K")
V = TypeVar("V")

_TREE_TO_TEXT = 20  # bytes of memory for each of text, roughly
_HIDDEN_NAME = "system"


class _PreparedQuery(Struct, frozen=True):
    question: Question
    shape: ResultShape

    def rows(self, value: Value, context: Context) -> list[dict[str, Value]]:
        try:
            return self.question.rows(value, context)
        except EvaluationError as exc:
            at = exc.problem.location
            if at is not None and at.file == QUERY_FILE:
                problem = exc.problem
                where = Location("", at.row, at.col)
                exc.problem = PolicyProblem(problem.code, problem.message, where)
            raise


class CompiledPolicy:
    """Modules and data, ready to be asked; immutable and safe to share between threads."""

    def __init__(
        self,
        compiled: Compiled,
        checks: PolicyChecks,
        data: JsonObject,
        deadline_seconds: float,
        options: CompileOptions = DEFAULT_OPTIONS,
    ) -> None:
        self._compiled = compiled
        self._checks = checks
        self._data = BaseDocuments(data)
        self._deadline_seconds = deadline_seconds
        self._print_to = options.print_to
        self._rego_version = options.rego_version
        self._watch = options.watch
        self._runtime = options.runtime
        # What is watched stays in the order it was written in.
        is_watched = options.watch is not UNWATCHED
        self._as_planned = as_written if is_watched else IndexFirst(compiled.tree).rule
        self._queries: OrderedDict[Query, _PreparedQuery] = OrderedDict()
        self._paths: OrderedDict[DataPath, Question] = OrderedDict()
        self._lock = threading.Lock()
        self.rules = frozenset(
            "/".join(map(str, placed.ground_path))
            for placed in compiled.tree.all_rules()
            if placed.rule.head.args is None
        )

    @classmethod
    def compile(
        cls,
        modules: Mapping[str, str],
        data: JsonObject,
        *,
        rego_versions: Mapping[str, int] = NO_VERSIONS,
        deadline_seconds: float,
        options: CompileOptions = DEFAULT_OPTIONS,
    ) -> Self:
        """Compile modules over base documents.

        Raises:
            PolicyError: the policy cannot be parsed or compiled; every problem found.
        """
        with making(_TREE_TO_TEXT * sum(map(len, modules.values()))):
            return cls._compile(modules, data, rego_versions, deadline_seconds, options)

    @classmethod
    def _compile(
        cls,
        modules: Mapping[str, str],
        data: JsonObject,
        rego_versions: Mapping[str, int],
        deadline_seconds: float,
        options: CompileOptions,
    ) -> Self:
        parsed, problems = [], []
        for name, text in modules.items():
            try:
                version = rego_versions.get(name, options.rego_version)
                parsed.append(parse_module(name, text, v0=version == 0))
            except PolicyError as exc:
                problems += exc.problems
        if problems:
            raise PolicyError(problems)
        checks = PolicyChecks(
            data=data,
            refused=NETWORK_BUILTINS,
            schemas=options.schemas or None,
            strict=options.strict,
        )
        watch = options.watch
        compiled = compile_checked(
            watch.parsed(parsed), checks, prints=options.print_to is not None
        )
        return cls(watch.compiled(compiled), checks, data, deadline_seconds, options)

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
        key = tuple(path)
        question = self._paths.get(key)
        if question is None:
            question = self._question(lambda planner, name: planner.entrypoint(key, name))
            self._keep(self._paths, key, question)
        context = self._context(strict=strict, evidence=evidence)
        rows = question.rows(value, context)
        result = rows[0].get(RESULT, UNDEFINED) if rows else UNDEFINED
        if not key and isinstance(result, dict):
            result = {name: item for name, item in result.items() if name != _HIDDEN_NAME}
        with watched_by(context.check):
            return to_json(result)

    def query(self, text: str, value: Any) -> list[JsonObject]:
        """Return the variables of every solution of a query.

        Raises:
            PolicyError: the text is not a query, or not one of this policy.
            EvaluationError: as for `evaluate`.
        """
        prepared = self._prepared(Query(text, is_v0=self._rego_version == 0))
        context = self._context()
        rows = prepared.rows(value, context)
        with watched_by(context.check):
            return [prepared.shape.bindings(row) for row in rows]

    def results(self, query: Query, value: Any, *, strict: bool = False) -> list[QueryResult]:
        """Return every solution of a query, with the values of its expressions.

        Args:
            query: the query.
            value: the input document, UNDEFINED when there is none.
            strict: a failing built-in function ends the evaluation with its error.

        Raises:
            PolicyError: the text is not a query, or not one of this policy.
            EvaluationError: as for `evaluate`.
        """
        prepared = self._prepared(query)
        context = self._context(strict=strict)
        try:
            rows = prepared.rows(value, context)
        finally:
            if self._print_to is not None:
                for line in context.prints:
                    self._print_to(line)
        with watched_by(context.check):
            return [prepared.shape.result(row) for row in rows]

    def plan(self, entrypoints: Sequence[str] = ()) -> bytes:
        """Return the policy as OPA's `plan.json`.

        Args:
            entrypoints: the documents below `data` that can be asked for, slash-separated; without
                any, `data` itself, every package and every rule.

        Raises:
            PolicyError: an entry point is neither, or cannot be planned.
        """
        known = self._documents()
        problems = [
            PolicyProblem("", f'entrypoint "{name}" does not refer to a rule or policy decision')
            for name in entrypoints
            if name not in known
        ]
        if problems:
            raise PolicyError(problems)
        planner = Planner(self._compiled, self._as_planned)
        plans = [planner.entrypoint(known[name], name) for name in entrypoints or sorted(known)]
        return write_plan(planner.policy(plans))

    def _documents(self) -> dict[str, tuple[str, ...]]:
        paths = {module.package for module in self._compiled.modules}
        for placed in self._compiled.tree.all_rules():
            if placed.rule.head.args is None:
                paths.add(string_prefix(placed))
        above = {path[:length] for path in paths for length in range(len(path) + 1)}
        # A slash within a segment would make another path's name.
        return {"/".join(path): path for path in above if not any("/" in part for part in path)}

    def is_repeatable(self, path: DataPath) -> bool:
        """Tell whether nothing that a document is made of may change its mind."""
        question = self._paths.get(tuple(path))
        return question is not None and not question.called & CHANGING_BUILTINS

    def close(self) -> None:
        """Do nothing: there is nothing but memory to release."""

    def _context(self, *, strict: bool = False, evidence: Evidence | None = None) -> Context:
        deadline = time.monotonic() + self._deadline_seconds
        return Context(
            deadline=deadline,
            allow_net=frozenset(),
            strict=strict,
            evidence=evidence,
            runtime=self._runtime,
        )

    def _prepared(self, query: Query) -> _PreparedQuery:
        prepared = self._queries.get(query)
        if prepared is None:
            parsed = parse_query(query.text, v0=query.is_v0)
            if not parsed:
                raise PolicyError(
                    [PolicyProblem("rego_parse_error", "cannot evaluate empty query")]
                )
            around = _surroundings(query)
            compiled = compile_query(
                parsed,
                self._compiled,
                package=around.package if query.package else None,
                imports=around.imports,
                checks=self._checks,
                capture=True,
            )
            watched = self._watch.query(compiled)
            question = self._question(lambda planner, name: planner.query(watched, name))
            prepared = _PreparedQuery(question, result_shape(query.text, parsed, compiled))
            self._keep(self._queries, query, prepared)
        return prepared

    def _question(self, make: MakePlan) -> Question:
        return Question(make, self._planner, self._data, self._watch)

    def _planner(self, *, by_key: bool) -> Planner:
        return Planner(self._compiled, self._as_planned, by_key=by_key)

    def _keep(self, kept: OrderedDict[K, V], key: K, value: V) -> None:
        with self._lock:
            kept[key] = value
            if len(kept) > KEPT_QUERIES:
                kept.popitem(last=False)


def _surroundings(query: Query) -> ast.Module:
    imports = "".join(f"\nimport {each}" for each in query.imports)
    return parse_module("", f"package {query.package or 'query'}{imports}", v0=query.is_v0)
