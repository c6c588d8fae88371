"""Decide whether a bundle's files are the ones its signature vouches for.

Pure. Follows OPA v1.22 v1/bundle/verify.go and its table of cases: a signature that cannot be
checked is refused, a missing one only where `signing` asks for it. The algorithm comes from the
configured key alone, never from the token, so a token cannot choose how it is checked.
"""

from __future__ import annotations

import binascii
import hmac
from collections.abc import Mapping
from typing import Any, Final

from policy_agent import codec
from policy_agent.bundle import digest, file_glob
from policy_agent.bundle.archive import safe_path
from policy_agent.config import Key, Signing
from policy_agent.errors import BundleFormatError, BundleVerificationError, DocumentError
from policy_agent.model import JsonObject

SIGNATURES_NAME: Final = ".signatures.json"
_DEFAULT_PLUGIN: Final = "_default"


def verify(files: Mapping[str, bytes], *, signing: Signing | None, keys: Mapping[str, Key]) -> None:
    """Check a bundle's signature and that it covers exactly the bundle's files.

    Args:
        files: path -> content, the signature file included.
        signing: None when the configuration does not ask for a signature.
        keys: key id -> key, as configured.

    Raises:
        BundleVerificationError: the bundle must not be used.
    """
    found = sorted(path for path in files if path.rpartition("/")[2] == SIGNATURES_NAME)
    if len(found) > 1:
        names = " and ".join(f'"{path}"' for path in found[:2])
        raise BundleVerificationError(f"bundle contains multiple signatures files: {names}")
    if not found:
        if signing is not None:
            raise BundleVerificationError(f"bundle missing {SIGNATURES_NAME} file")
        return
    if not keys:
        raise BundleVerificationError("verification key not provided")
    rules = signing or Signing()
    payload = _verified_payload(_only_token(files[found[0]]), rules, keys)
    contents = {path: content for path, content in files.items() if path not in found}
    _check_files(contents, _listed_files(payload), rules.exclude_files)


def _only_token(raw: bytes) -> str:
    document = _json_object(raw, SIGNATURES_NAME)
    plugin = document.get("plugin") or _DEFAULT_PLUGIN
    if plugin != _DEFAULT_PLUGIN:
        raise BundleVerificationError(f"no verifier exists under id {plugin}")
    tokens = document.get("signatures") or []
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise BundleVerificationError(f"{SIGNATURES_NAME}: signatures must be a list of strings")
    if not tokens:
        raise BundleVerificationError(f"{SIGNATURES_NAME}: missing JWT (expected exactly one)")
    if len(tokens) > 1:
        raise BundleVerificationError(
            f"{SIGNATURES_NAME}: multiple JWTs not supported (expected exactly one)"
        )
    token: str = tokens[0]
    return token


def _verified_payload(token: str, signing: Signing, keys: Mapping[str, Key]) -> JsonObject:
    parts = token.split(".")
    if len(parts) != 3:
        raise BundleVerificationError("failed to split compact JWT: it does not have three parts")
    header = _json_object(_base64url(parts[0]), "JWT header")
    payload = _json_object(_base64url(parts[1]), "JWT payload")
    if "crit" in header:
        raise BundleVerificationError("JWT header: critical extensions are not supported")
    key_id = signing.key_id or header.get("kid") or payload.get("keyid")
    if not key_id or not isinstance(key_id, str):
        raise BundleVerificationError("verification key ID is empty")
    key = keys.get(key_id)
    if key is None:
        raise BundleVerificationError(f"verification key corresponding to ID {key_id} not found")
    signed = f"{parts[0]}.{parts[1]}".encode()
    if not _is_signed_by(key, signed, _base64url(parts[2])):
        raise BundleVerificationError("failed to verify JWT signature")
    if (payload.get("scope") or "") != (signing.scope or key.scope):
        raise BundleVerificationError("scope mismatch")
    return payload


def _is_signed_by(key: Key, signed: bytes, signature: bytes) -> bool:
    if key.algorithm.startswith("HS"):
        expected = hmac.digest(key.key.encode(), signed, f"sha{key.algorithm[2:]}")
        return hmac.compare_digest(expected, signature)
    # Importing these costs 60 ms of CPU, which only a bundle signed with such a key should pay.
    from cryptography.exceptions import UnsupportedAlgorithm
    from jwt.algorithms import get_default_algorithms
    from jwt.exceptions import InvalidKeyError

    algorithm = get_default_algorithms()[key.algorithm]
    try:
        return algorithm.verify(signed, algorithm.prepare_key(_public_key(key.key)), signature)
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidKeyError) as exc:
        raise BundleVerificationError(
            f"keys.{key.id}.key: cannot be used with {key.algorithm}"
        ) from exc


def _public_key(pem: str) -> Any:
    from cryptography.hazmat.primitives import serialization
    from cryptography.x509 import load_pem_x509_certificate

    raw = pem.encode()
    if "-----BEGIN CERTIFICATE-----" in pem:
        return load_pem_x509_certificate(raw).public_key()
    if " PRIVATE KEY-----" in pem:
        return serialization.load_pem_private_key(raw, password=None).public_key()
    return serialization.load_pem_public_key(raw)


def _listed_files(payload: JsonObject) -> dict[str, JsonObject]:
    entries = payload.get("files") or []
    if not isinstance(entries, list):
        raise BundleVerificationError("JWT payload: files must be a list")
    listed: dict[str, JsonObject] = {}
    for entry in entries:
        facts = entry if isinstance(entry, dict) else {}
        if not all(isinstance(facts.get(key), str) for key in ("name", "hash", "algorithm")):
            raise BundleVerificationError("JWT payload: a file lacks name, hash or algorithm")
        try:
            path = safe_path(facts["name"])
        except BundleFormatError as exc:
            raise BundleVerificationError(f"JWT payload: {exc}") from exc
        if path in listed:
            raise BundleVerificationError(f"JWT payload: {path} is listed twice")
        listed[path] = facts
    return listed


def _check_files(
    files: Mapping[str, bytes], listed: dict[str, JsonObject], exclude: tuple[str, ...]
) -> None:
    for path, content in sorted(files.items()):
        facts = listed.pop(path, None)
        if any(file_glob.matches(path, pattern) for pattern in exclude):
            continue
        if facts is None:
            raise BundleVerificationError(f"file {path} not included in bundle signature")
        _check_digest(path, content, facts)
    if listed:
        names = " ".join(sorted(listed))
        raise BundleVerificationError(
            f"file(s) [{names}] specified in bundle signatures but not found in the target bundle"
        )


def _check_digest(path: str, content: bytes, facts: JsonObject) -> None:
    algorithm, wanted = facts["algorithm"], facts["hash"].lower()
    if algorithm not in digest.ALGORITHMS:
        raise BundleVerificationError(f"unsupported hashing algorithm: {algorithm}")
    try:
        got = digest.file_digest(path, content, algorithm)
    except DocumentError as exc:
        raise BundleVerificationError(f"{path}: {exc}") from exc
    if not hmac.compare_digest(wanted.encode(), got.encode()):
        raise BundleVerificationError(f"{path}: digest mismatch (want: {wanted}, got: {got})")


def _json_object(raw: bytes, what: str) -> JsonObject:
    try:
        document = codec.decode_json(raw)
    except DocumentError as exc:
        raise BundleVerificationError(f"{what}: {exc}") from exc
    if not isinstance(document, dict):
        raise BundleVerificationError(f"{what}: must be an object")
    return document


def _base64url(text: str) -> bytes:
    try:
        raw = text.encode("ascii").translate(bytes.maketrans(b"-_", b"+/"))
        return binascii.a2b_base64(raw + b"=" * (-len(raw) % 4), strict_mode=True)
    except ValueError as exc:
        raise BundleVerificationError("failed to base64 decode JWT") from exc
