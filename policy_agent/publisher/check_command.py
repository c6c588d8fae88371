"""`policy-agent check`: say what is wrong with Rego files, with the flags of `opa check`."""

from __future__ import annotations

import argparse
import sys

from policy_agent.errors import PolicyAgentError, PolicyError, PolicyProblem
from policy_agent.publisher.ordered_json import indented
from policy_agent.publisher.problem_report import (
    MAX_ERRORS,
    Problem,
    problems_json,
    problems_of,
    problems_text,
)
from policy_agent.publisher.sources import (
    Sources,
    load_builtins,
    load_bundles,
    load_paths,
    load_schemas,
)
from policy_agent.rego import ast
from policy_agent.rego.check.stages import PolicyChecks, compile_checked
from policy_agent.rego.parse import parse_module


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("paths", nargs="+", metavar="path", help="Rego files and directories")
    parser.add_argument("-b", "--bundle", action="store_true", help="the paths are bundles")
    parser.add_argument("-f", "--format", choices=["pretty", "json"], default="pretty")
    parser.add_argument(
        "-m",
        "--max-errors",
        type=int,
        default=MAX_ERRORS,
        metavar="N",
        help="how many errors to show, 0 for all (default %(default)s)",
    )
    parser.add_argument("-s", "--schema", metavar="PATH", help="a JSON schema, or a directory")
    parser.add_argument("--ignore", action="append", default=[], metavar="PATTERN")
    parser.add_argument("-S", "--strict", action="store_true", help="refuse what nothing uses")
    parser.add_argument("--capabilities", metavar="FILE", help="a capabilities.json file")
    version = parser.add_mutually_exclusive_group()
    version.add_argument("--v0-v1", action="store_true", help="the files are Rego v0 and v1")
    version.add_argument("--v0-compatible", action="store_true", help="the files are Rego v0")
    version.add_argument("--v1-compatible", action="store_true", help="implied; as in opa check")


def main(arguments: argparse.Namespace) -> int:
    """Return 0 when nothing is wrong, else 1 after the problems on stderr."""
    try:
        sources = _load(arguments)
        schemas = load_schemas(arguments.schema)
        is_v0 = arguments.v0_compatible or arguments.v0_v1
        builtins = load_builtins(arguments.capabilities, is_v0=is_v0)
        modules = _parsed(sources, arguments)
    except PolicyAgentError as exc:
        return _report(problems_of(exc), arguments.format, during="during loading")
    # Where data lies is known of bundles only.
    data = sources.data if arguments.bundle else None
    checks = PolicyChecks(strict=arguments.strict, data=data, schemas=schemas or None)
    try:
        compile_checked(
            modules, checks, prints=True, builtins=builtins, max_errors=arguments.max_errors
        )
    except PolicyError as exc:
        return _report(list(exc.problems), arguments.format)
    return 0


def _load(arguments: argparse.Namespace) -> Sources:
    sources = Sources()
    if arguments.bundle:
        load_bundles(arguments.paths, into=sources)
    else:
        load_paths(arguments.paths, into=sources, rego_only=True, ignore=arguments.ignore)
    return sources


def _parsed(sources: Sources, arguments: argparse.Namespace) -> list[ast.Module]:
    modules: list[ast.Module] = []
    problems: list[PolicyProblem] = []
    version = 0 if arguments.v0_compatible or arguments.v0_v1 else 1
    for file, source in sources.modules.items():
        try:
            is_v0 = sources.rego_versions.get(file, version) == 0
            module = parse_module(file, source, v0=is_v0)
            if arguments.v0_v1 and module.rego_version == 0:
                # `import rego.v1` makes Rego v0 read as v1; without it, both must be able to.
                module = parse_module(file, source)
            modules.append(module)
        except PolicyError as exc:
            problems += exc.problems
    if problems:
        raise PolicyError(problems)
    return modules


def _report(problems: list[Problem], format_name: str, *, during: str = "") -> int:
    if format_name == "json":
        sys.stderr.write(indented({"errors": problems_json(problems)}))
    else:
        sys.stderr.write(problems_text(problems, during=during))
    return 1
