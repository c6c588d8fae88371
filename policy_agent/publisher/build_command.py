"""`policy-agent build`: build a bundle from a directory, with the flags of `opa build -b`."""

from __future__ import annotations

import argparse
from pathlib import Path

from policy_agent.bundle.directory import collect_files
from policy_agent.bundle.verify import verify
from policy_agent.errors import PolicyError
from policy_agent.model import Bundle
from policy_agent.publisher.build import build
from policy_agent.publisher.output_file import replace_file
from policy_agent.publisher.signing_flags import (
    add_algorithm_flag,
    add_signing_flags,
    add_verification_flags,
    signer_of,
    verification_of,
)
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
    parser.add_argument(
        "-t",
        "--target",
        choices=("plan", "rego"),
        default="plan",
        help="plan adds a ready plan to the sources, with which the agent starts faster; "
        "rego does not (default %(default)s)",
    )
    parser.add_argument(
        "-e",
        "--entrypoint",
        action="append",
        default=[],
        metavar="PATH",
        help="slash-separated package or rule that the plan answers; repeatable "
        "(default: data, every package and every rule)",
    )
    parser.add_argument(
        "--v0-compatible",
        action="store_true",
        help="policies are Rego v0 where the source's manifest does not say otherwise",
    )
    add_algorithm_flag(parser)
    add_signing_flags(parser)
    add_verification_flags(parser)


def main(arguments: argparse.Namespace) -> int:
    """Write the archive, whole or not at all, once its policies compile.

    Raises:
        BundleError: the directory is not a bundle, its signature is not accepted, or the archive
            cannot be written.
        ConfigError: a key or the claims cannot be used.
        PolicyError: the policies cannot be compiled; nothing is written.
    """
    directory: Path = arguments.directory
    signer = signer_of(arguments, key_id=arguments.verification_key_id)
    rules, keys = verification_of(arguments) or (None, {})
    files = collect_files(directory)
    verify(files, signing=rules, keys=keys)

    def plan_of(bundle: Bundle) -> bytes:
        with _compiled(bundle, directory) as policy:
            return policy.plan(arguments.entrypoint)

    bundle = build(
        str(directory),
        files,
        revision=arguments.revision,
        rego_version=0 if arguments.v0_compatible else 1,
        ignore=arguments.ignore,
        signer=signer,
        plan_of=plan_of if arguments.target == "plan" else None,
    )
    if bundle.plan is None:
        _compiled(bundle, directory).close()
    replace_file(arguments.output, bundle.raw)
    return 0


def _compiled(bundle: Bundle, directory: Path) -> Policy:
    try:
        # As the plan names them: the same bundle on every machine.
        return Policy.from_modules(bundle.modules, bundle.data, rego_versions=bundle.rego_versions)
    except PolicyError:
        # Once more, for messages that name the files where their author finds them.
        sources = {str(directory / path): source for path, source in bundle.modules.items()}
        versions = {str(directory / path): each for path, each in bundle.rego_versions.items()}
        return Policy.from_modules(sources, bundle.data, rego_versions=versions)
