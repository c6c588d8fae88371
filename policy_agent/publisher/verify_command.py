"""`policy-agent verify`: check a signed bundle the way an agent would, and say who signed it."""

from __future__ import annotations

import argparse
from pathlib import Path

from policy_agent import codec
from policy_agent.bundle.claims import shown_time
from policy_agent.bundle.verify import verify
from policy_agent.errors import BundleError
from policy_agent.model import JsonObject
from policy_agent.publisher.bundle_files import read_bundle_files
from policy_agent.publisher.signature import read_signature
from policy_agent.publisher.signing_flags import (
    add_algorithm_flag,
    add_verification_flags,
    verification_of,
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("path", type=Path, help="a bundle's directory or archive")
    parser.add_argument("-b", "--bundle", action="store_true", help="implied; as in opa build")
    parser.add_argument(
        "-f",
        "--format",
        choices=("pretty", "json"),
        default="pretty",
        help="output format (default %(default)s)",
    )
    add_algorithm_flag(parser)
    add_verification_flags(parser, required=True)


def main(arguments: argparse.Namespace) -> int:
    """Print who signed the bundle; return 1 when it must not be used.

    Raises:
        BundleError: the bundle must not be used, and the output format is for people.
        ConfigError: the key cannot be used.
    """
    verification = verification_of(arguments)
    assert verification is not None  # the flag is required
    rules, keys = verification
    is_json = arguments.format == "json"
    try:
        files = read_bundle_files(arguments.path)
        vouched = verify(files, signing=rules, keys=keys)
    except BundleError as exc:
        if not is_json:
            raise
        _print_json({"verified": False, "error": str(exc)})
        return 1
    signature = read_signature(files, rules.key_ids[0])
    # The algorithm that verified it, which the token has no say in.
    facts: JsonObject = {
        "algorithm": arguments.signing_alg,
        "keyid": signature.key_id,
        "scope": signature.scope,
        "files": signature.file_count,
    }
    if vouched.version is not None:
        facts["version"] = vouched.version
    if vouched.expires_at is not None:
        facts["expires"] = shown_time(vouched.expires_at)
    if is_json:
        _print_json({"verified": True, **facts})
    else:
        print(f"{arguments.path}: verified")
        for name, value in facts.items():
            print(f"{name}: {'none' if value == '' else value}")
    return 0


def _print_json(document: JsonObject) -> None:
    print(codec.indent_json(codec.encode_json(document)).decode())
