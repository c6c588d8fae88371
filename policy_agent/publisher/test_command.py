"""`policy-agent test`: run a directory's Rego tests, with the flags and output of `opa test`."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from policy_agent.bundle.directory import read_directory
from policy_agent.errors import ConfigError
from policy_agent.publisher import test_report
from policy_agent.publisher.duration_flag import positive_seconds
from policy_agent.publisher.rego_tests import find_tests
from policy_agent.publisher.second_opinion import second_opinion
from policy_agent.publisher.test_run import run_tests
from policy_agent.rego import Policy
from policy_agent.rego.options import CompileOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("directory", type=Path, help="a bundle's source directory")
    parser.add_argument("-b", "--bundle", action="store_true", help="implied; as in opa test")
    parser.add_argument("--v0-compatible", action="store_true", help="the policies are Rego v0")
    parser.add_argument("-v", "--verbose", action="store_true", help="show the tests that pass too")
    parser.add_argument("-r", "--run", default="", metavar="REGEX", help="only tests of this name")
    parser.add_argument("-f", "--format", choices=["pretty", "json"], default="pretty")
    parser.add_argument(
        "--timeout",
        type=positive_seconds,
        default=5.0,
        metavar="SECONDS",
        help="of one test; also 500ms, 5s, 1m (default 5s)",
    )
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
    """Return 0 when all tests pass, 2 when one does not or regopy disagrees.

    Raises:
        BundleError: the directory is not a bundle.
        ConfigError: an argument makes no sense.
        PolicyError: the policies or tests cannot be compiled.
    """
    try:
        re.compile(arguments.run)
    except re.error as exc:
        raise ConfigError([f"--run: not a regular expression: {exc}"]) from exc
    bundle = read_directory(arguments.directory.name, arguments.directory)
    modules = {str(arguments.directory / path): source for path, source in bundle.modules.items()}
    versions = {str(arguments.directory / path): v for path, v in bundle.rego_versions.items()}
    with Policy.from_modules(
        modules,
        bundle.data,
        rego_versions=versions,
        deadline_seconds=arguments.timeout,
        options=CompileOptions(rego_version=0 if arguments.v0_compatible else 1),
    ) as policy:
        results = run_tests(policy, find_tests(modules, name_pattern=arguments.run))
    if arguments.format == "json":
        sys.stdout.write(test_report.as_json(results))
    else:
        sys.stdout.write(test_report.pretty(results, verbose=arguments.verbose))
    status = test_report.exit_status(results, skipped_is_zero=arguments.exit_zero_on_skipped)
    if not arguments.second_opinion:
        return status
    opinion = second_opinion(modules, bundle.data, results, deadline_seconds=arguments.timeout)
    for line in (*opinion.silences, *opinion.disagreements):
        print(line, file=sys.stderr)
    return 2 if opinion.disagreements else status
