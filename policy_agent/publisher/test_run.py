"""Run Rego tests on policies and judge what they evaluate to (OPA v1.22 v1/tester/runner.go)."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from policy_agent import codec
from policy_agent.errors import EvaluationError, PolicyError
from policy_agent.model import JsonObject
from policy_agent.publisher.rego_tests import (
    RegoTest,
    find_tests,
    with_bound_values,
    with_marked_cases,
    with_numbered_tests,
)
from policy_agent.rego import Policy, ast
from policy_agent.rego.compile.compiled import Compiled
from policy_agent.rego.options import CompileOptions, Query
from policy_agent.rego.tracing.history import Event, Op, events
from policy_agent.rego.tracing.instrument import Detail
from policy_agent.rego.tracing.recorder import CaseBegun, Recorder
from policy_agent.rego.values import to_json


@dataclass(slots=True)
class CaseResult:
    """How one case of a data-driven test ended, and those below it.

    Attributes:
        trace: the events up to its end; of a failed case only.
    """

    name: str
    has_failed: bool = False
    below: dict[str, CaseResult] = field(default_factory=dict)
    trace: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class RegoTestResult:
    """How one test ended: skipped, with an error, or passed or not.

    Attributes:
        has_passed: False for a skipped test and one that ended with an error.
        duration_ns: 0 for a skipped test.
        cases: of a data-driven test, by name.
        output: what the test printed.
        trace: the events of the evaluation, if they were recorded.
    """

    test: RegoTest
    has_passed: bool
    duration_ns: int
    error: EvaluationError | PolicyError | None = None
    cases: Mapping[str, CaseResult] = field(default_factory=dict)
    output: str = ""
    trace: tuple[Event, ...] = ()

    @property
    def outcome(self) -> str:
        """Return OPA's word: PASS, FAIL, SKIPPED or ERROR."""
        if self.test.is_skipped:
            return "SKIPPED"
        if self.error is not None:
            return "ERROR"
        return "PASS" if self.has_passed else "FAIL"


@dataclass(slots=True)
class TestedPolicy:
    """Policies with their tests, compiled to be run one test after the other.

    Attributes:
        policy: to be closed after use.
        recorder: what watches it.
        tests: in the order of files and lines.
        modules: as parsed, with numbered tests.
    """

    policy: Policy
    recorder: Recorder
    tests: list[RegoTest]
    modules: list[ast.Module]
    _printed: list[str]

    @classmethod
    def compile(
        cls,
        modules: Mapping[str, str],
        data: JsonObject,
        *,
        detail: Detail | None = None,
        binds_values: bool = False,
        rego_versions: Mapping[str, int],
        deadline_seconds: float,
        options: CompileOptions,
    ) -> TestedPolicy:
        """Compile modules.

        Args:
            modules: file -> source.
            data: the base documents.
            detail: how closely evaluation is watched.
            binds_values: give the sides of the tests' equations variables, whose values are told.
            rego_versions: file -> the version of Rego it is in, where one is said.
            deadline_seconds: limit for one test.
            options: how to compile, but for what this takes care of.

        Raises:
            PolicyError: they cannot be compiled.
        """
        watch = _TestRecorder(detail, binds_values=binds_values)
        printed: list[str] = []
        policy = Policy.from_modules(
            modules,
            data,
            rego_versions=rego_versions,
            deadline_seconds=deadline_seconds,
            options=replace(options, print_to=printed.append, watch=watch),
        )
        return cls(policy, watch, find_tests(watch.modules), watch.modules, printed)

    def run(self, tests: Iterable[RegoTest]) -> Iterator[RegoTestResult]:
        """Run each test; only the value `true`, or cases that are all `true`, pass."""
        return map(self._run, tests)

    def value(self, test: RegoTest) -> Any:
        """Return the value of a test's document, None when it is undefined.

        Raises:
            EvaluationError: evaluating it failed.
            PolicyError: it is no document.
        """
        results = self.policy.results(Query(test.query))
        return results[0].expressions[0].value if results else None

    def _run(self, test: RegoTest) -> RegoTestResult:
        if test.is_skipped:
            return RegoTestResult(test, has_passed=False, duration_ns=0)
        self.recorder.records.clear()
        self._printed.clear()
        started_ns = time.perf_counter_ns()
        value = None
        error: EvaluationError | PolicyError | None = None
        try:
            value = self.value(test)
        except (EvaluationError, PolicyError) as exc:
            error = exc
        duration_ns = time.perf_counter_ns() - started_ns
        trace = tuple(events(self.recorder.records))
        cases: dict[str, CaseResult] = {}
        passed = value is True
        if test.has_cases and error is None:
            cases = _cases(value, self._begun(), trace)
            passed = value is not None and not any(each.has_failed for each in cases.values())
        output = "".join(f"{line}\n" for line in self._printed)
        return RegoTestResult(test, passed, duration_ns, error, cases, output, trace)

    def _begun(self) -> Iterator[tuple[str, ...]]:
        for record in self.recorder.records:
            if isinstance(record, CaseBegun):
                yield tuple(map(_case_name, record.names))


class _TestRecorder(Recorder):
    """Numbers tests of one name and marks cases before it watches."""

    def __init__(self, detail: Detail | None, *, binds_values: bool) -> None:
        super().__init__(detail)
        self.modules: list[ast.Module] = []
        self._binds_values = binds_values

    def parsed(self, modules: list[ast.Module]) -> list[ast.Module]:
        self.modules = with_numbered_tests(modules)
        return self.modules

    def compiled(self, compiled: Compiled) -> Compiled:
        if self._binds_values:
            compiled = with_bound_values(compiled)
        return super().compiled(with_marked_cases(compiled))


def _case_name(value: Any) -> str:
    return value if isinstance(value, str) else codec.encode_json(to_json(value)).decode()


def _cases(
    value: Any, begun: Iterable[tuple[str, ...]], trace: tuple[Event, ...]
) -> dict[str, CaseResult]:
    """Return a test's cases: those in its document, and those begun that are not, which failed."""
    cases = _cases_in(value)
    ends = [index for index, event in enumerate(trace) if event.op is Op.TEST_CASE][1:]
    ends.append(len(trace))
    for number, names in enumerate(begun):
        end = ends[number] if number < len(ends) else len(trace)
        _add_begun(cases, names, trace[:end])
    return cases


def _cases_in(value: Any) -> dict[str, CaseResult]:
    found = {}
    for name, inner in value.items() if isinstance(value, dict) else ():
        below = _cases_in(inner)
        failed = any(each.has_failed for each in below.values()) if below else inner is not True
        found[name] = CaseResult(name, failed, below)
    return found


def _add_begun(
    cases: dict[str, CaseResult], names: tuple[str, ...], trace: tuple[Event, ...]
) -> bool:
    """Add a case that was begun unless it is known; return whether it has failed."""
    first, *rest = names
    case = cases.setdefault(first, CaseResult(first, has_failed=True))
    if rest:
        case.has_failed |= _add_begun(case.below, tuple(rest), trace)
    elif case.has_failed:
        case.trace = trace
    return case.has_failed
