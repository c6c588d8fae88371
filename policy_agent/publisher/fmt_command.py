"""`policy-agent fmt`: lay out Rego files, with the flags of `opa fmt`."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from policy_agent.errors import BundleDownloadError, PolicyAgentError, PolicyError
from policy_agent.publisher.output_file import replace_file
from policy_agent.publisher.problem_report import problems_of, problems_text
from policy_agent.rego.format.formatter import Options, Target, format_module

_FAILED = 2


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "paths", nargs="*", metavar="path", help="files and directories, else stdin"
    )
    parser.add_argument("-w", "--write", action="store_true", help="overwrite the files")
    parser.add_argument("-l", "--list", action="store_true", help="only name files that change")
    parser.add_argument("-d", "--diff", action="store_true", help="only show what changes")
    parser.add_argument("--fail", action="store_true", help="exit with 2 if a file changes")
    parser.add_argument(
        "--check-result",
        choices=["true", "false"],
        nargs="?",
        const="true",
        default="true",
        help="refuse a result that says something else than the file (default true)",
    )
    parser.add_argument(
        "--drop-v0-imports", action="store_true", help="leave out rego.v1 and future.keywords"
    )
    parser.add_argument("--v0-compatible", action="store_true", help="from Rego v0 to v0")
    parser.add_argument(
        "--v0-v1", "--rego-v1", action="store_true", help="from Rego v0 to what is v0 and v1"
    )
    parser.add_argument(
        "--v1-compatible", action="store_true", help="with --v0-v1: from Rego v1 to both"
    )


def main(arguments: argparse.Namespace) -> int:
    """Return 0, 1 when a path cannot be read, 2 when a file cannot be formatted or has changed."""
    options = Options(
        target=_target(arguments),
        drops_imports=arguments.drop_v0_imports,
        checks=arguments.check_result == "true",
    )
    if not arguments.paths:
        return _format_stdin(options)
    for path in arguments.paths:
        try:
            for file in _rego_files(path.removeprefix("file://")):
                if _format_file(file, arguments, options):
                    print("unexpected diff", file=sys.stderr)
                    return _FAILED
        except PolicyError as exc:
            told = problems_text(problems_of(exc))
            sys.stderr.write(f"failed to format Rego source file: {told}")
            return _FAILED
        except PolicyAgentError as exc:
            print(exc, file=sys.stderr)
            return 1
    return 0


def _target(arguments: argparse.Namespace) -> Target:
    if arguments.v0_v1:
        return Target.V1_V0 if arguments.v1_compatible else Target.V0_V1
    return Target.V0 if arguments.v0_compatible else Target.V1


def _format_stdin(options: Options) -> int:
    try:
        formatted = format_module("stdin", sys.stdin.read(), options)
    except PolicyError as exc:
        sys.stderr.write(problems_text(problems_of(exc)))
        return 1
    sys.stdout.write(formatted)
    return 0


def _format_file(file: str, arguments: argparse.Namespace, options: Options) -> bool:
    """Format one file and do with it what is asked for; return whether that is a failure.

    Raises:
        BundleDownloadError: it cannot be read or written.
        PolicyError: it cannot be formatted.
    """
    source = _read(file)
    formatted = format_module(file, source, options)
    has_changed = formatted != source
    if arguments.list:
        sys.stdout.write(f"{file}\n" if has_changed else "")
    elif arguments.diff:
        sys.stdout.write(_diff(file, source, formatted))
    elif arguments.fail and has_changed:
        return True
    elif not arguments.write:
        sys.stdout.write(formatted)
    elif has_changed:
        replace_file(Path(file), formatted.encode())
    return bool(arguments.fail) and has_changed


def _diff(file: str, source: str, formatted: str) -> str:
    lines = difflib.unified_diff(
        source.splitlines(keepends=True), formatted.splitlines(keepends=True), file, file
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def _rego_files(path: str) -> Iterator[str]:
    """Iterate over the Rego files at a path, in the order of their names."""
    if not os.path.lexists(path):
        raise BundleDownloadError(f"lstat {path}: no such file or directory")
    if not os.path.isdir(path):
        if path.endswith(".rego"):
            yield path
        return
    for name in sorted(os.listdir(path)):
        yield from _rego_files(os.path.join(path, name))


def _read(file: str) -> str:
    try:
        return Path(file).read_bytes().decode("utf-8", "replace")
    except OSError as exc:
        raise BundleDownloadError(f"failed to open file: {exc}") from exc
