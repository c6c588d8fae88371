"""`policy-agent sign`: sign a bundle's files, with the flags of `opa sign -b`."""

from __future__ import annotations

import argparse
from pathlib import Path

from policy_agent.bundle.verify import SIGNATURES_NAME
from policy_agent.publisher.bundle_files import read_bundle_files
from policy_agent.publisher.output_file import replace_file
from policy_agent.publisher.signature import signature_file, tokens_of
from policy_agent.publisher.signing_flags import add_algorithm_flag, add_signing_flags, signer_of


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("path", type=Path, help="a bundle's directory or archive")
    parser.add_argument("-b", "--bundle", action="store_true", help="implied; as in opa sign")
    parser.add_argument(
        "-o",
        "--output-file-path",
        type=Path,
        default=Path(),
        metavar="DIRECTORY",
        help=f"where to write {SIGNATURES_NAME} (default: the current directory)",
    )
    parser.add_argument(
        "--add",
        action="store_true",
        help="keep the signatures that the bundle already has, for agents that ask for several",
    )
    add_algorithm_flag(parser)
    add_signing_flags(parser, required=True)


def main(arguments: argparse.Namespace) -> int:
    """Write the signature, whole or not at all.

    Raises:
        BundleError: the bundle cannot be read, or the signature cannot be written.
        ConfigError: the key or the claims cannot be used.
    """
    signer = signer_of(arguments)
    assert signer is not None  # the flag is required
    files = read_bundle_files(arguments.path)
    content = signature_file(files, signer, beside=tokens_of(files) if arguments.add else ())
    replace_file(arguments.output_file_path / SIGNATURES_NAME, content)
    return 0
