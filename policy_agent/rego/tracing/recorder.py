"""Write down where evaluation comes by."""

from __future__ import annotations

import time
from typing import TypeAlias

from msgspec import Struct

from policy_agent.rego.builtins import catalog
from policy_agent.rego.builtins.registry import Builtin
from policy_agent.rego.compile.compiled import Compiled, CompiledQuery
from policy_agent.rego.options import Watch
from policy_agent.rego.tracing.instrument import EVENT, OPAQUE, Detail, Instrument
from policy_agent.rego.tracing.sites import Site
from policy_agent.rego.values import Value


class Passed(Struct, frozen=True):
    """Evaluation came by a site.

    Attributes:
        values: of the site's variables.
        at_ns: when, on the performance counter.
    """

    site: Site
    values: tuple[Value, ...]
    at_ns: int = 0


class Noted(Struct, frozen=True):
    """The policy called `trace`."""

    message: str


class CaseBegun(Struct, frozen=True):
    """A data-driven test came to one of its cases.

    Attributes:
        names: the case's path in the test's document.
    """

    names: tuple[Value, ...]


Record: TypeAlias = Passed | Noted | CaseBegun


class Recorder(Watch):
    """Watches the evaluations of one policy; not to be shared between threads.

    Attributes:
        records: what was told since they were last cleared, in order; sites only if the detail
            asks for values.
        sites: every site of the policy and its queries, by number.
        passed: the numbers of those that evaluation ever came by.
        rewritten: the compiler's names of variables -> the author's.
    """

    def __init__(self, detail: Detail | None = None) -> None:
        """Begin without records; without `detail` only the cases of tests are told."""
        self.records: list[Record] = []
        self.passed: set[int] = set()
        self.rewritten: dict[str, str] = {}
        self._instrument = Instrument(detail) if detail is not None else None
        self._keeps_order = detail is not None and detail.values
        self.sites: list[Site] = self._instrument.sites if self._instrument else []
        self._builtins = {
            builtin.name: builtin
            for builtin in (
                Builtin(EVENT, self._pass, deterministic=False),
                Builtin(OPAQUE, _same, deterministic=False),
                Builtin("trace", self._note, deterministic=False),
                Builtin("internal.test_case", self._begin_case, deterministic=False),
            )
        }

    def compiled(self, compiled: Compiled) -> Compiled:
        """Return compiled modules that tell this recorder where they are."""
        self.rewritten.update(compiled.rewritten)
        return self._instrument.modules(compiled) if self._instrument else compiled

    def query(self, query: CompiledQuery) -> CompiledQuery:
        """Return a compiled query that tells this recorder where it is."""
        self.rewritten.update(query.rewritten)
        return self._instrument.query(query) if self._instrument else query

    def resolve(self, name: str) -> Builtin | None:
        """Return a built-in function as a watched policy calls it."""
        return self._builtins.get(name) or catalog.resolve(name)

    def _pass(self, number: int, values: list[Value]) -> bool:
        self.passed.add(number)
        if self._keeps_order:
            self.records.append(Passed(self.sites[number], tuple(values), time.perf_counter_ns()))
        return True

    def _note(self, message: Value) -> Value:
        trace = catalog.resolve("trace")
        assert trace is not None
        done = trace.function(message)
        self.records.append(Noted(message))
        return done

    def _begin_case(self, names: Value) -> bool:
        self.records.append(CaseBegun(tuple(names)))
        return True


def _same(value: Value) -> Value:
    return value
