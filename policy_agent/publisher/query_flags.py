"""The flags of the commands that ask a query of policies from disk, and what they stand for.

Does I/O.
"""

from __future__ import annotations

import argparse
import math
import sys
from typing import Any

from policy_agent import codec
from policy_agent.errors import BundleDownloadError, BundleFormatError, ConfigError, DocumentError
from policy_agent.model import UNDEFINED
from policy_agent.publisher.sources import (
    Sources,
    load_bundles,
    load_paths,
    load_schemas,
    read_document,
)
from policy_agent.rego import Policy
from policy_agent.rego.options import CompileOptions, Query


def add_query_flags(parser: argparse.ArgumentParser) -> None:
    """Declare the query, and where policies, data and input are."""
    parser.add_argument("query", nargs="?", help="a Rego query")
    parser.add_argument("--stdin", action="store_true", help="read the query from stdin")
    parser.add_argument("-b", "--bundle", action="append", default=[], metavar="PATH")
    parser.add_argument(
        "-d",
        "--data",
        action="append",
        default=[],
        metavar="PATH",
        help="a Rego, JSON or YAML file or a directory of them; a.b:PATH for data below data.a.b",
    )
    parser.add_argument("-i", "--input", metavar="PATH", help="the input, JSON or YAML")
    parser.add_argument("-I", "--stdin-input", action="store_true", help="read input from stdin")
    parser.add_argument("--package", default="", help="the package that the query is asked in")
    parser.add_argument("--import", action="append", default=[], dest="imports", metavar="REF")
    parser.add_argument("--ignore", action="append", default=[], metavar="PATTERN")
    parser.add_argument("-s", "--schema", metavar="PATH", help="a JSON schema, or a directory")
    parser.add_argument("--v0-compatible", action="store_true", help="all is written in Rego v0")


def query_of(arguments: argparse.Namespace) -> Query:
    """Return the query.

    Raises:
        ConfigError: there is none.
    """
    text = sys.stdin.read() if arguments.stdin else arguments.query
    if text is None:
        raise ConfigError(["specify query argument or --stdin"])
    return Query(text, arguments.package, tuple(arguments.imports), arguments.v0_compatible)


def input_of(arguments: argparse.Namespace) -> Any:
    """Return the input, UNDEFINED when there is none.

    Raises:
        BundleError: it cannot be read.
    """
    if arguments.stdin_input:
        try:
            return codec.decode_document(sys.stdin.buffer.read())
        except DocumentError as exc:
            raise BundleFormatError(f"unable to parse input: {exc}") from exc
    return read_document(arguments.input) if arguments.input else UNDEFINED


def sources_of(arguments: argparse.Namespace) -> Sources:
    """Load the policies and data.

    Raises:
        BundleError: something cannot be loaded.
    """
    sources = Sources()
    try:
        load_bundles(arguments.bundle, into=sources)
    except BundleDownloadError as exc:
        raise BundleDownloadError(f"loading error: {exc}") from exc
    load_paths(arguments.data, into=sources, ignore=arguments.ignore)
    return sources


def options_of(arguments: argparse.Namespace) -> CompileOptions:
    """Return how to compile; what policies print goes to stderr.

    Raises:
        BundleError: the schemas cannot be loaded.
    """
    version = 0 if arguments.v0_compatible else 1
    return CompileOptions(load_schemas(arguments.schema), version, _print)


def policy_of(
    sources: Sources, options: CompileOptions, *, timeout_seconds: float | None = None
) -> Policy:
    """Compile the policies.

    Raises:
        PolicyError: they cannot be compiled.
    """
    return Policy.from_modules(
        sources.modules,
        sources.data,
        rego_versions=sources.rego_versions,
        deadline_seconds=timeout_seconds or math.inf,
        options=options,
    )


def _print(line: str) -> None:
    sys.stderr.write(f"{line}\n")
