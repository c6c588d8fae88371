"""`policy-agent inspect`: say what is in a bundle, with the flags of `opa inspect`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from policy_agent import codec
from policy_agent.config import DEFAULT_BUNDLE_LIMIT_BYTES
from policy_agent.model import JsonObject
from policy_agent.publisher.bundle_files import read_bundle_files, read_file
from policy_agent.publisher.inspection import inspect_bundle, inspect_module
from policy_agent.publisher.inspection_report import inspection_text


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--v0-compatible", action="store_true", help="as in opa inspect; packages are named alike"
    )
    parser.add_argument("path", type=Path, help="a bundle's directory or archive, or a Rego file")
    parser.add_argument(
        "-f",
        "--format",
        choices=("pretty", "json"),
        default="pretty",
        help="output format (default %(default)s)",
    )


def main(arguments: argparse.Namespace) -> int:
    """Print the summary; signatures are shown, not verified.

    Raises:
        BundleError: the bundle cannot be read or is malformed.
    """
    info = _inspected(arguments.path)
    if arguments.format == "json":
        print(codec.indent_json(codec.encode_json(info)).decode())
    else:
        sys.stdout.write(inspection_text(info))
    return 0


def _inspected(path: Path) -> JsonObject:
    if path.suffix == ".rego":
        return inspect_module(str(path), read_file(path, DEFAULT_BUNDLE_LIMIT_BYTES))
    files = read_bundle_files(path)
    if path.is_dir():
        return inspect_bundle(files, shown=lambda file: os.path.normpath(path / file))
    return inspect_bundle(files)
