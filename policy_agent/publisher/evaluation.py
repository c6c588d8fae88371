"""Answer a query as `eval` is asked to: watched or not, once or, for coverage, several times."""

from __future__ import annotations

import argparse
from typing import Any

from msgspec.structs import replace

from policy_agent.publisher.coverage_flags import SUPPLEMENTARY, coverage_kinds
from policy_agent.publisher.eval_report import Answer
from policy_agent.publisher.profile import profile
from policy_agent.publisher.query_flags import options_of, policy_of, sources_of
from policy_agent.rego.options import UNWATCHED, Query, Watch
from policy_agent.rego.parse import parse_module
from policy_agent.rego.results import QueryResult
from policy_agent.rego.tracing.coverage import FileCoverage, coverage
from policy_agent.rego.tracing.filters import FILTERS
from policy_agent.rego.tracing.history import events
from policy_agent.rego.tracing.instrument import Detail
from policy_agent.rego.tracing.places import Places
from policy_agent.rego.tracing.recorder import Recorder


class Evaluation:
    """One query of policies from disk.

    Raises:
        BundleError: something cannot be loaded.
    """

    def __init__(self, arguments: argparse.Namespace, query: Query, given: Any) -> None:
        self._arguments = arguments
        self._query = query
        self._given = given
        self._sources = sources_of(arguments)
        self._options = replace(options_of(arguments), strict=arguments.strict)

    def answer(self) -> Answer:
        """Return the results and what was asked for besides.

        Raises:
            PolicyError: policies or query cannot be compiled.
            EvaluationError: the query cannot be answered.
        """
        arguments = self._arguments
        kinds = coverage_kinds(arguments)
        traces = arguments.explain != "off" or arguments.profile
        if not traces and not arguments.coverage:
            return Answer(self._results(UNWATCHED))
        detail = Detail(traces, not arguments.disable_indexing, not arguments.disable_early_exit)
        recorder = Recorder(detail)
        results = self._results(recorder, repeats=arguments.profile)
        answer = Answer(
            results, self._query.text, recorder.rewritten, shows_values=arguments.var_values
        )
        trace = events(recorder.records)
        if arguments.explain != "off":
            answer.explanation = FILTERS[arguments.explain](trace)
        if arguments.profile:
            answer.profile = profile(
                recorder.records, trace, arguments.profile_sort, arguments.profile_limit
            )
        if arguments.coverage:
            places = self._places()
            answer.coverage = coverage(places, recorder)
            answer.supplementary = {kind: self._supplementary(kind, places) for kind in kinds}
        return answer

    def _supplementary(self, kind: str, places: dict[str, Places]) -> dict[str, FileCoverage]:
        recorder = Recorder(SUPPLEMENTARY[kind])
        self._results(recorder, prints=False)
        return coverage(places, recorder)

    def _results(
        self, watch: Watch, *, prints: bool = True, repeats: bool = False
    ) -> list[QueryResult]:
        """Return the results; `repeats` measures what no longer has to be turned into Python."""
        printed: list[str] = []
        options = replace(self._options, watch=watch, print_to=printed.append)
        timeout_seconds = self._arguments.timeout
        strict = self._arguments.strict_builtin_errors
        with policy_of(self._sources, options, timeout_seconds=timeout_seconds) as policy:
            try:
                results = policy.results(self._query, self._given, strict=strict)
                if repeats and isinstance(watch, Recorder):
                    watch.records.clear()
                    printed.clear()
                    results = policy.results(self._query, self._given, strict=strict)
            finally:
                if prints and self._options.print_to is not None:
                    for line in printed:
                        self._options.print_to(line)
        return results

    def _places(self) -> dict[str, Places]:
        places = {}
        for file, source in self._sources.modules.items():
            version = self._sources.rego_versions.get(file, self._options.rego_version)
            places[file] = Places(parse_module(file, source, v0=version == 0), source)
        return places
