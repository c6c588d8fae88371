"""`policy-agent eval`: answer a query, with the flags, output and exit status of `opa eval`."""

from __future__ import annotations

import argparse
import sys

from policy_agent.errors import PolicyAgentError
from policy_agent.publisher.duration_flag import positive_seconds
from policy_agent.publisher.eval_report import ERRORS_AS_JSON, FORMATS, errors_json
from policy_agent.publisher.problem_report import problems_of, problems_text
from policy_agent.publisher.query_flags import add_query_flags, input_of, policy_of, query_of


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_query_flags(parser)
    parser.add_argument("-f", "--format", choices=list(FORMATS), default="json")
    parser.add_argument("--fail", action="store_true", help="exit with 1 when there is no result")
    parser.add_argument("--fail-defined", action="store_true", help="exit with 1 when there is one")
    parser.add_argument(
        "--strict-builtin-errors",
        action="store_true",
        help="a failing built-in function ends the evaluation",
    )
    parser.add_argument(
        "--timeout", type=positive_seconds, metavar="DURATION", help="such as 500ms (default none)"
    )


def main(arguments: argparse.Namespace) -> int:
    """Return 0, 1 where `--fail` or `--fail-defined` asks for it, 2 for errors."""
    try:
        query = query_of(arguments)
        given = input_of(arguments)
    except PolicyAgentError as exc:
        print(exc, file=sys.stderr)
        return 2
    try:
        with policy_of(arguments, timeout_seconds=arguments.timeout) as policy:
            results = policy.results(query, given, strict=arguments.strict_builtin_errors)
    except PolicyAgentError as exc:
        problems = problems_of(exc)
        if arguments.format in ERRORS_AS_JSON:
            sys.stdout.write(errors_json(problems, format_name=arguments.format))
        else:
            sys.stderr.write(problems_text(problems))
        return 2
    sys.stdout.write(FORMATS[arguments.format](results))
    return int(arguments.fail_defined if results else arguments.fail)
