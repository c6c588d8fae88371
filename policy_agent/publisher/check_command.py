"""`policy-agent check`: say what is wrong with Rego files, with the flags of `opa check`."""

from __future__ import annotations

import argparse
import sys

from policy_agent.errors import PolicyAgentError, PolicyError, PolicyProblem
from policy_agent.publisher.ordered_json import indented
from policy_agent.publisher.problem_report import (
    Problem,
    problems_json,
    problems_of,
    problems_text,
)
from policy_agent.publisher.sources import Sources, load_bundles, load_paths, load_schemas
from policy_agent.rego import ast
from policy_agent.rego.check.stages import PolicyChecks, compile_checked
from policy_agent.rego.parse import parse_module

_LIMIT_REACHED = PolicyProblem("rego_compile_error", "error limit reached")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("paths", nargs="+", metavar="path", help="Rego files and directories")
    parser.add_argument("-b", "--bundle", action="store_true", help="the paths are bundles")
    parser.add_argument("-f", "--format", choices=["pretty", "json"], default="pretty")
    parser.add_argument(
        "-m",
        "--max-errors",
        type=int,
        default=10,
        metavar="N",
        help="how many errors to show, 0 for all (default %(default)s)",
    )
    parser.add_argument("-s", "--schema", metavar="PATH", help="a JSON schema, or a directory")
    parser.add_argument("--ignore", action="append", default=[], metavar="PATTERN")
    version = parser.add_mutually_exclusive_group()
    version.add_argument("--v0-compatible", action="store_true", help="the files are Rego v0")
    version.add_argument("--v1-compatible", action="store_true", help="implied; as in opa check")


def main(arguments: argparse.Namespace) -> int:
    """Return 0 when nothing is wrong, else 1 after the problems on stderr."""
    try:
        sources = _load(arguments)
        schemas = load_schemas(arguments.schema)
        modules = _parsed(sources, 0 if arguments.v0_compatible else 1)
    except PolicyAgentError as exc:
        return _report(problems_of(exc), arguments.format, during="during loading")
    # Where data lies is known of bundles only.
    data = sources.data if arguments.bundle else None
    try:
        compile_checked(modules, PolicyChecks(data=data, schemas=schemas or None), prints=True)
    except PolicyError as exc:
        return _report(_limited(exc.problems, arguments.max_errors), arguments.format)
    return 0


def _load(arguments: argparse.Namespace) -> Sources:
    sources = Sources()
    if arguments.bundle:
        load_bundles(arguments.paths, into=sources)
    else:
        load_paths(arguments.paths, into=sources, rego_only=True, ignore=arguments.ignore)
    return sources


def _parsed(sources: Sources, version: int) -> list[ast.Module]:
    modules: list[ast.Module] = []
    problems: list[PolicyProblem] = []
    for file, source in sources.modules.items():
        try:
            is_v0 = sources.rego_versions.get(file, version) == 0
            modules.append(parse_module(file, source, v0=is_v0))
        except PolicyError as exc:
            problems += exc.problems
    if problems:
        raise PolicyError(problems)
    return modules


def _limited(problems: list[PolicyProblem], limit: int) -> list[Problem]:
    if not 0 < limit < len(problems):
        return list(problems)
    return [*problems[:limit], _LIMIT_REACHED]


def _report(problems: list[Problem], format_name: str, *, during: str = "") -> int:
    if format_name == "json":
        sys.stderr.write(indented({"errors": problems_json(problems)}))
    else:
        sys.stderr.write(problems_text(problems, during=during))
    return 1
