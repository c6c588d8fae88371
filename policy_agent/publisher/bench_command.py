"""`policy-agent bench`: measure a query, with the flags and output of `opa bench`."""

from __future__ import annotations

import argparse
import sys

from policy_agent.errors import PolicyAgentError
from policy_agent.publisher.bench_report import FORMATS, histogram
from policy_agent.publisher.eval_report import errors_json
from policy_agent.publisher.measuring import durations_ns
from policy_agent.publisher.problem_report import Problem, problems_of, problems_text
from policy_agent.publisher.query_flags import (
    add_query_flags,
    input_of,
    options_of,
    policy_of,
    query_of,
    sources_of,
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_query_flags(parser)
    parser.add_argument("-f", "--format", choices=list(FORMATS), default="pretty")
    parser.add_argument("--count", type=int, default=1, help="how often to measure (default 1)")
    parser.add_argument(
        "--metrics",
        type=_boolean,
        nargs="?",
        const=True,
        default=True,
        help="show how the durations are distributed (default true)",
    )
    parser.add_argument(
        "--fail",
        type=_boolean,
        nargs="?",
        const=True,
        default=True,
        help="exit with 1 when there is no result (default true)",
    )


def main(arguments: argparse.Namespace) -> int:
    """Return 0, or 1 when the query has an error or no result."""
    try:
        query = query_of(arguments)
        given = input_of(arguments)
        with policy_of(sources_of(arguments), options_of(arguments)) as policy:
            if not policy.results(query, given) and arguments.fail:
                return _report(["undefined result"], arguments.format)
            for _ in range(arguments.count):
                taken = durations_ns(lambda: policy.results(query, given))
                extra = histogram(taken) if arguments.metrics else {}
                sys.stdout.write(FORMATS[arguments.format](taken, extra))
    except PolicyAgentError as exc:
        return _report(problems_of(exc), arguments.format)
    return 0


def _report(problems: list[Problem], format_name: str) -> int:
    if format_name == "json":
        sys.stdout.write(errors_json(problems, format_name=format_name))
    else:
        sys.stderr.write(problems_text(problems))
    return 1


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"not true or false: {text}")
    return text == "true"
