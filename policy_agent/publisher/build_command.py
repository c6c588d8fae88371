"""`policy-agent build`: build a bundle from a directory, with the flags of `opa build -b`."""

from __future__ import annotations

import argparse
import contextlib
import os
from pathlib import Path

from policy_agent.bundle.directory import collect_files
from policy_agent.errors import BundleError
from policy_agent.publisher.build import build
from policy_agent.rego import Policy


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("directory", type=Path, help="the bundle's source directory")
    parser.add_argument("-b", "--bundle", action="store_true", help="implied; as in opa build")
    parser.add_argument("-r", "--revision", help="revision to put in the manifest")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("bundle.tar.gz"),
        metavar="FILE",
        help="archive to write (default %(default)s)",
    )
    parser.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="PATTERN",
        help="names of files and directories to leave out, such as '*_test.rego'; repeatable",
    )


def main(arguments: argparse.Namespace) -> int:
    """Write the archive, whole or not at all, once its policies compile.

    Raises:
        BundleError: the directory is not a bundle, or the archive cannot be written.
        PolicyError: the policies cannot be compiled; nothing is written.
    """
    directory: Path = arguments.directory
    bundle = build(
        str(directory),
        collect_files(directory),
        revision=arguments.revision,
        ignore=arguments.ignore,
    )
    sources = {str(directory / path): source for path, source in bundle.modules.items()}
    Policy.from_modules(sources, bundle.data).close()
    _replace(arguments.output, bundle.raw)
    return 0


def _replace(path: Path, content: bytes) -> None:
    # A server may be handing out the old file; it must never see half of the new one.
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError as exc:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise BundleError(f"{path}: cannot be written: {exc.strerror}") from exc
