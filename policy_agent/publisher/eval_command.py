"""`policy-agent eval`: answer a query, with the flags, output and exit status of `opa eval`."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from policy_agent.errors import ConfigError, PolicyAgentError
from policy_agent.publisher.coverage_flags import add_coverage_flags
from policy_agent.publisher.duration_flag import positive_seconds
from policy_agent.publisher.eval_report import ERRORS_AS_JSON, FORMATS, errors_json
from policy_agent.publisher.evaluation import Evaluation
from policy_agent.publisher.problem_report import MAX_ERRORS, limited, problems_of, problems_text
from policy_agent.publisher.profile import SORT_KEYS
from policy_agent.publisher.query_flags import add_query_flags, input_of, query_of
from policy_agent.rego.tracing.filters import FILTERS

_PROFILED_LINES: Final = 10


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_query_flags(parser)
    parser.add_argument("-f", "--format", choices=list(FORMATS), default="json")
    parser.add_argument("--fail", action="store_true", help="exit with 1 when there is no result")
    parser.add_argument("--fail-defined", action="store_true", help="exit with 1 when there is one")
    parser.add_argument("-S", "--strict", action="store_true", help="compile strictly, as check -S")
    parser.add_argument(
        "--strict-builtin-errors",
        action="store_true",
        help="a failing built-in function ends the evaluation",
    )
    parser.add_argument(
        "--timeout", type=positive_seconds, metavar="DURATION", help="such as 500ms (default none)"
    )
    parser.add_argument(
        "--explain",
        choices=["off", *FILTERS],
        default="off",
        help="show which rules were tried, which held and where the others failed",
    )
    parser.add_argument("--var-values", action="store_true", help="show variables in the trace")
    parser.add_argument(
        "--disable-indexing", action="store_true", help="show rules that the index leaves out"
    )
    parser.add_argument(
        "--disable-early-exit", action="store_true", help="go on when a rule has its only value"
    )
    add_coverage_flags(parser, "--coverage")
    parser.add_argument("--profile", action="store_true", help="show how long each line took")
    parser.add_argument("--profile-limit", type=int, default=_PROFILED_LINES, metavar="N")
    parser.add_argument(
        "--profile-sort", action="append", default=[], choices=list(SORT_KEYS), metavar="KEY"
    )
    parser.add_argument("-p", "--partial", action="store_true", help="refused: not supported")
    parser.add_argument("-u", "--unknowns", action="append", help="refused: not supported")


def main(arguments: argparse.Namespace) -> int:
    """Return 0, 1 where `--fail` or `--fail-defined` asks for it, 2 for errors.

    Raises:
        ConfigError: partial evaluation is asked for.
    """
    if arguments.partial or arguments.unknowns:
        raise ConfigError(["partial evaluation is not supported: use opa eval --partial"])
    try:
        query = query_of(arguments)
        given = input_of(arguments)
    except PolicyAgentError as exc:
        print(exc, file=sys.stderr)
        return 2
    try:
        answer = Evaluation(arguments, query, given).answer()
    except PolicyAgentError as exc:
        problems = limited(problems_of(exc), MAX_ERRORS)
        if arguments.format in ERRORS_AS_JSON:
            sys.stdout.write(errors_json(problems, format_name=arguments.format))
        else:
            sys.stderr.write(problems_text(problems))
        return 2
    sys.stdout.write(FORMATS[arguments.format](answer))
    return int(arguments.fail_defined if answer.results else arguments.fail)
