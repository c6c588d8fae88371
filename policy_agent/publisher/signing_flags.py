"""The flags of `sign`, `verify` and `build` that name keys, and the files behind them.

Does I/O. A key stands on the command line as in OPA: the path of a file, the PEM text itself, or
for HS256 to HS512 the secret itself. No message shows it.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import os
from pathlib import Path
from typing import Final

from policy_agent import codec
from policy_agent.bundle.claims import check_claims
from policy_agent.bundle.local_file import read_regular_file
from policy_agent.config import ALGORITHMS, Key, Signing
from policy_agent.errors import BundleVerificationError, ConfigError, DocumentError, TransportError
from policy_agent.model import JsonObject
from policy_agent.publisher.signature import Signer
from policy_agent.publisher.signing_key import KMS_SCHEME, signing_function
from policy_agent.publisher.validity_flags import add_validity_flags, validity_claims

_PEM_START: Final = "-----BEGIN"
_MAX_FILE_BYTES: Final = 1 << 20
_KMS_TIMEOUT_SECONDS: Final = 30
_KEY_FILE_SUFFIXES: Final = (".pem", ".key")
_NO_FILE: Final = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)


def add_algorithm_flag(parser: argparse.ArgumentParser) -> None:
    """Declare the algorithm's flag, which serves signing and verifying."""
    parser.add_argument(
        "--signing-alg",
        default="RS256",
        choices=sorted(ALGORITHMS),
        metavar="NAME",
        help="name of the signing algorithm: %(choices)s (default %(default)s)",
    )


def add_signing_flags(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """Declare the flags that `signer_of` reads, but for the algorithm's."""
    parser.add_argument(
        "--signing-key",
        required=required,
        metavar="KEY",
        help="PEM file of the private key (RSA and ECDSA), awskms:///KEY for one in AWS KMS, "
        "or the secret or its file (HMAC)",
    )
    parser.add_argument(
        "--claims-file",
        type=Path,
        metavar="FILE",
        help="JSON object of further claims, such as scope and keyid",
    )
    add_validity_flags(parser)


def add_verification_flags(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """Declare the flags that `verification_of` reads, but for the algorithm's."""
    parser.add_argument(
        "--verification-key",
        required=required,
        metavar="KEY",
        help="PEM file of the public key (RSA and ECDSA), awskms:///KEY for one in AWS KMS, "
        "or the secret or its file (HMAC)",
    )
    parser.add_argument(
        "--verification-key-id",
        default="default",
        metavar="ID",
        help="name of the verification key (default %(default)s)",
    )
    parser.add_argument("--scope", default="", help="scope that the signature must have")
    parser.add_argument(
        "--exclude-files-verify",
        action="append",
        default=[],
        metavar="PATTERN",
        help="files that need not be signed, comma-separated; repeatable",
    )


def signer_of(arguments: argparse.Namespace, *, key_id: str = "") -> Signer | None:
    """Return the signer that the flags describe, None without a key.

    Args:
        key_id: put into the token, unless a claims file says who signs.

    Raises:
        ConfigError: a key or claims file is missing or wrong.
    """
    claims_file: Path | None = arguments.claims_file
    validity = validity_claims(arguments)
    if arguments.signing_key is None:
        if claims_file is not None:
            raise ConfigError(["--claims-file: needs --signing-key"])
        if validity:
            raise ConfigError(["--expires, --not-before and --version: need --signing-key"])
        return None
    algorithm: str = arguments.signing_alg
    key: str = arguments.signing_key
    if not key.startswith(KMS_SCHEME) or algorithm.startswith("HS"):
        key = _key_text("--signing-key", key, algorithm)
    claims: JsonObject = {"keyid": key_id} if key_id else {}
    if claims_file is not None:
        claims, key_id = _claims(claims_file), ""
    return Signer(algorithm, signing_function(key, algorithm), key_id, {**claims, **validity})


def verification_of(arguments: argparse.Namespace) -> tuple[Signing, dict[str, Key]] | None:
    """Return what a signature must satisfy and the key by its id, None without a key.

    Raises:
        ConfigError: the key is missing or wrong.
    """
    if arguments.verification_key is None:
        return None
    key_id: str = arguments.verification_key_id
    algorithm: str = arguments.signing_alg
    text: str = arguments.verification_key
    if text.startswith(KMS_SCHEME) and not algorithm.startswith("HS"):
        text = _key_of_kms(text.removeprefix(KMS_SCHEME))
    else:
        text = _key_text("--verification-key", text, algorithm)
    exclude = ",".join(arguments.exclude_files_verify)
    rules = Signing((key_id,), arguments.scope, tuple(filter(None, exclude.split(","))))
    return rules, {key_id: Key(key_id, text, algorithm)}


def _key_of_kms(key_id: str) -> str:
    from policy_agent.credentials import kms

    try:
        return asyncio.run(kms.public_key(key_id, _KMS_TIMEOUT_SECONDS))
    except TransportError as exc:
        raise ConfigError([f"--verification-key: KMS: {exc}"]) from exc


def _key_text(flag: str, value: str, algorithm: str) -> str:
    if not value:
        raise ConfigError([f"{flag}: is empty"])
    is_secret = algorithm.startswith("HS")
    content = os.fsencode(value)
    if not value.startswith(_PEM_START):
        in_file = _content_if_there(flag, value)
        # A mistyped file name must not become the secret.
        if in_file is None and (not is_secret or value.endswith(_KEY_FILE_SUFFIXES)):
            raise ConfigError([f"{flag}: there is no such file"])
        content = content if in_file is None else in_file
    try:
        text = content.decode()
    except UnicodeDecodeError as exc:
        raise ConfigError([f"{flag}: the key is not text in UTF-8"]) from exc
    # Were a public key the secret, everyone who can verify could sign.
    if is_secret and (not text or text.lstrip().startswith(_PEM_START)):
        raise ConfigError(
            [f"{flag}: {algorithm} needs a secret, not a key in PEM or an empty file"]
        )
    return text


def _claims(path: Path) -> JsonObject:
    flag = "--claims-file"
    content = _content_if_there(flag, str(path))
    if content is None:
        raise ConfigError([f"{flag}: {path}: there is no such file"])
    try:
        claims = codec.decode_json(content)
    except DocumentError as exc:
        raise ConfigError([f"{flag}: {path}: {exc}"]) from exc
    if not isinstance(claims, dict):
        raise ConfigError([f"{flag}: {path}: must be a JSON object"])
    problems = [
        f"{flag}: {path}: {name} must be a string"
        for name in ("keyid", "scope")
        if not isinstance(claims.get(name, ""), str)
    ]
    if "files" in claims:
        problems.append(f"{flag}: {path}: files is what the signature itself says")
    try:
        check_claims(claims)
    except BundleVerificationError as exc:
        problems.append(f"{flag}: {path}: {exc}")
    if problems:
        raise ConfigError(problems)
    return claims


def _content_if_there(flag: str, path: str) -> bytes | None:
    try:
        content = read_regular_file(Path(path), limit_bytes=_MAX_FILE_BYTES)
    except ValueError:
        return None
    except OSError as exc:
        if exc.errno in _NO_FILE:
            return None
        reason = (exc.strerror or str(exc)).lower()
        raise ConfigError([f"{flag}: the file cannot be read: {reason}"]) from exc
    if content is None:
        raise ConfigError([f"{flag}: the file is larger than {_MAX_FILE_BYTES} bytes"])
    return content
