"""`policy-agent test`: run Rego tests, with the flags and output of `opa test`."""

from __future__ import annotations

import argparse
import re
import sys
from typing import Final

from policy_agent.errors import ConfigError, PolicyAgentError
from policy_agent.publisher import test_report
from policy_agent.publisher.coverage_flags import SUPPLEMENTARY, add_coverage_flags, coverage_kinds
from policy_agent.publisher.coverage_report import coverage_json, coverage_percent, threshold_text
from policy_agent.publisher.duration_flag import positive_seconds
from policy_agent.publisher.failing_line import FailingLines
from policy_agent.publisher.ordered_json import indented
from policy_agent.publisher.problem_report import problems_of, problems_text
from policy_agent.publisher.rego_tests import RegoTest
from policy_agent.publisher.second_opinion import second_opinion
from policy_agent.publisher.sources import Sources, load_bundles, load_paths, load_schemas
from policy_agent.publisher.test_bench import BENCH_FORMATS, bench_tests
from policy_agent.publisher.test_run import RegoTestResult, TestedPolicy
from policy_agent.rego.options import CompileOptions
from policy_agent.rego.tracing.coverage import coverage
from policy_agent.rego.tracing.filters import FILTERS, notes_and_fails
from policy_agent.rego.tracing.instrument import Detail
from policy_agent.rego.tracing.places import Places

_TIMEOUT_SECONDS: Final = 5.0
_BENCH_TIMEOUT_SECONDS: Final = 30.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("paths", nargs="+", metavar="path", help="Rego and data files, directories")
    parser.add_argument("-b", "--bundle", action="store_true", help="the paths are bundles")
    parser.add_argument("-v", "--verbose", action="store_true", help="show the tests that pass too")
    parser.add_argument("-r", "--run", default="", metavar="REGEX", help="only tests of this name")
    parser.add_argument("-f", "--format", choices=["pretty", "json", "gobench"], default="pretty")
    parser.add_argument("--ignore", action="append", default=[], metavar="PATTERN")
    parser.add_argument("-s", "--schema", metavar="PATH", help="a JSON schema, or a directory")
    parser.add_argument("--v0-compatible", action="store_true", help="all is written in Rego v0")
    parser.add_argument(
        "--timeout",
        type=positive_seconds,
        metavar="DURATION",
        help="of one test, such as 500ms, 5s, 1m (default 5s, 30s with --bench)",
    )
    parser.add_argument("--count", type=int, default=1, help="how often to run (default 1)")
    parser.add_argument(
        "-p", "--parallel", type=int, default=1, help="accepted; tests run one after the other"
    )
    add_coverage_flags(parser, "-c", "--coverage")
    parser.add_argument(
        "--threshold",
        type=_percent,
        default=0.0,
        metavar="PERCENT",
        help="exit with 2 below this coverage",
    )
    parser.add_argument("--explain", choices=list(FILTERS), help="show traces of what fails")
    parser.add_argument("--var-values", action="store_true", help="show the values where it fails")
    parser.add_argument("--fail-on-empty", action="store_true", help="exit with 1 without tests")
    parser.add_argument("--sort", choices=["none", "duration"], default="none", help="in JSON")
    parser.add_argument("--bench", action="store_true", help="measure the tests that pass")
    parser.add_argument(
        "-z",
        "--exit-zero-on-skipped",
        action="store_true",
        help="do not count todo_test_ rules as not passed",
    )
    parser.add_argument(
        "--second-opinion",
        action="store_true",
        help="run the tests on regopy too and say where it disagrees",
    )


def main(arguments: argparse.Namespace) -> int:
    """Return 0 when all tests pass, 2 when one does not or too little is covered, 1 for errors.

    Raises:
        ConfigError: an argument makes no sense.
    """
    _check(arguments)
    try:
        sources = _load(arguments)
        version = 0 if arguments.v0_compatible else 1
        options = CompileOptions(load_schemas(arguments.schema), version)
        command = _Command(arguments, sources, options)
    except PolicyAgentError as exc:
        sys.stderr.write(problems_text(problems_of(exc)))
        return 1
    with command:
        for _ in range(arguments.count):
            if status := command.run():
                return status
    return 0


class _Command:
    """The tests, compiled once for every way in which they are to run."""

    def __init__(
        self, arguments: argparse.Namespace, sources: Sources, options: CompileOptions
    ) -> None:
        self._arguments = arguments
        self._sources = sources
        self._options = options
        self._timeout_seconds = arguments.timeout or (
            _BENCH_TIMEOUT_SECONDS if arguments.bench else _TIMEOUT_SECONDS
        )
        wants_trace = (arguments.verbose or arguments.var_values) and not arguments.bench
        detail = Detail(values=True) if wants_trace else None
        self._tested = self._compiled(Detail() if arguments.coverage else detail)
        self._supplementary = {
            kind: self._compiled(SUPPLEMENTARY[kind]) for kind in coverage_kinds(arguments)
        }
        self._chosen = [test for test in self._tested.tests if re.search(arguments.run, test.query)]

    def __enter__(self) -> _Command:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for tested in (self._tested, *self._supplementary.values()):
            tested.policy.close()

    def run(self) -> int:
        """Run the tests once and report; return the exit status."""
        arguments = self._arguments
        if arguments.bench:
            return self._bench(self._chosen)
        results = list(self._tested.run(self._chosen))
        if arguments.coverage:
            status = self._report_coverage(results)
        elif arguments.format == "json":
            if arguments.sort == "duration":
                results.sort(key=lambda each: -each.duration_ns)
            sys.stdout.write(test_report.as_json(results))
            status = self._status(results)
        else:
            sys.stdout.write(test_report.pretty(results, self._style()))
            status = self._status(results)
        return self._with_second_opinion(results, status)

    def _bench(self, tests: list[RegoTest]) -> int:
        results = list(bench_tests(self._tested, tests))
        sys.stdout.write(BENCH_FORMATS[self._arguments.format](results))
        return self._status([each.result for each in results])

    def _status(self, results: list[RegoTestResult]) -> int:
        if not results and self._arguments.fail_on_empty:
            print("no tests were run", file=sys.stderr)
            return 1
        skipped_is_zero = self._arguments.exit_zero_on_skipped
        return test_report.exit_status(results, skipped_is_zero=skipped_is_zero)

    def _report_coverage(self, results: list[RegoTestResult]) -> int:
        for result in results:
            if result.error is not None:
                print(result.error, file=sys.stderr)
                return 1
        verbose = self._arguments.verbose
        failed = [result for result in results if result.outcome == "FAIL"]
        if failed:
            sys.stdout.write(test_report.pretty(failed, test_report.Style(verbose=verbose)))
            print(test_report.result_line(failed[0]) + "\n", file=sys.stderr)
            return 1
        for tested in self._supplementary.values():
            for _ in tested.run(self._chosen):
                pass
        places = self._places()
        files = coverage(places, self._tested.recorder)
        if coverage_percent(files) < self._arguments.threshold:
            threshold = self._arguments.threshold
            sys.stderr.write(threshold_text(files, threshold, verbose=verbose))
            return 2
        others = {
            kind: coverage(places, tested.recorder) for kind, tested in self._supplementary.items()
        }
        sys.stdout.write(indented(coverage_json(files, others)))
        return self._status(results)

    def _with_second_opinion(self, results: list[RegoTestResult], status: int) -> int:
        if not self._arguments.second_opinion:
            return status
        opinion = second_opinion(
            self._sources.modules,
            self._sources.data,
            results,
            deadline_seconds=self._timeout_seconds,
        )
        for line in (*opinion.silences, *opinion.disagreements):
            print(line, file=sys.stderr)
        return 2 if opinion.disagreements else status

    def _style(self) -> test_report.Style:
        arguments, rewritten = self._arguments, self._tested.recorder.rewritten
        explain = FILTERS[arguments.explain] if arguments.explain else notes_and_fails
        lines = FailingLines(self._places(), rewritten) if arguments.var_values else None
        return test_report.Style(arguments.verbose, lines, explain, rewritten)

    def _places(self) -> dict[str, Places]:
        sources = self._sources.modules
        return {each.file: Places(each, sources[each.file]) for each in self._tested.modules}

    def _compiled(self, detail: Detail | None) -> TestedPolicy:
        return TestedPolicy.compile(
            self._sources.modules,
            self._sources.data,
            detail=detail,
            binds_values=self._arguments.var_values,
            rego_versions=self._sources.rego_versions,
            deadline_seconds=self._timeout_seconds,
            options=self._options,
        )


def _check(arguments: argparse.Namespace) -> None:
    """Complete the flags that imply others.

    Raises:
        ConfigError: some make no sense.
    """
    try:
        re.compile(arguments.run)
    except re.error as exc:
        raise ConfigError([f"--run: not a regular expression: {exc}"]) from exc
    arguments.coverage = arguments.coverage or arguments.threshold > 0
    coverage_kinds(arguments)
    arguments.verbose = arguments.verbose or arguments.explain is not None
    if arguments.coverage and arguments.bench:
        raise ConfigError(["coverage reporting is not supported when benchmarking tests"])
    if arguments.format == "gobench" and not arguments.bench:
        raise ConfigError(["--format gobench: only with --bench"])


def _load(arguments: argparse.Namespace) -> Sources:
    sources = Sources()
    if arguments.bundle:
        load_bundles(arguments.paths, into=sources)
    else:
        load_paths(arguments.paths, into=sources, ignore=arguments.ignore)
    return sources


def _percent(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError("must be between 0 and 100")
    return value
