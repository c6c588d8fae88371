"""Decide whether a bundle's files are the ones its signatures vouch for.

Pure. Follows OPA v1.22 v1/bundle/verify.go and its table of cases: a signature that cannot be
checked is refused, a missing one where it is asked for. The algorithm comes from the configured key
alone, never from the token, so a token cannot choose how it is checked.

Beyond OPA there may be several signatures, of which `threshold` by different keys must hold.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from typing import Any, Final

from policy_agent.bundle import digest, file_glob
from policy_agent.bundle.archive import safe_path
from policy_agent.bundle.claims import Vouched, check_time, what_is_vouched
from policy_agent.bundle.jws import Token, is_signed_by, json_object, signer_of, split_token
from policy_agent.config import Key, Signing
from policy_agent.errors import BundleFormatError, BundleVerificationError, DocumentError
from policy_agent.model import JsonObject

SIGNATURES_NAME: Final = ".signatures.json"
MAX_TOKENS: Final = 16
_DEFAULT_PLUGIN: Final = "_default"


def verify(
    files: Mapping[str, bytes],
    *,
    signing: Signing | None,
    keys: Mapping[str, Key],
    now: float | None = None,
) -> Vouched:
    """Check a bundle's signatures and that each covers exactly the bundle's files.

    Args:
        files: path -> content, the signature file included.
        signing: None when the configuration does not ask for a signature.
        keys: key id -> key, as configured.
        now: seconds since the epoch, None for this moment.

    Raises:
        BundleVerificationError: the bundle must not be used.
    """
    found = sorted(path for path in files if path.rpartition("/")[2] == SIGNATURES_NAME)
    if len(found) > 1:
        names = " and ".join(f'"{path}"' for path in found[:2])
        raise BundleVerificationError(f"bundle contains multiple signatures files: {names}")
    if not found:
        if signing is not None and signing.required:
            raise BundleVerificationError(f"bundle missing {SIGNATURES_NAME} file")
        return Vouched()
    if not any(key.key for key in keys.values()):
        raise BundleVerificationError("verification key not provided")
    rules = signing or Signing()
    tokens = read_tokens(files[found[0]])
    payloads = _verified_payloads(tokens, rules, keys)
    contents = {path: content for path, content in files.items() if path not in found}
    checked: list[Any] = []
    for payload in payloads.values():
        check_time(payload, time.time() if now is None else now)
        # Signatures of one bundle mostly list the same files, which are digested once.
        if payload.get("files") not in checked:
            _check_files(contents, _listed_files(payload), rules.exclude_files)
            checked.append(payload.get("files"))
    return what_is_vouched(payloads)


def read_tokens(raw: bytes) -> list[str]:
    """Return the tokens in a signature file.

    Raises:
        BundleVerificationError: it is not a signature file, or has none or more than `MAX_TOKENS`.
    """
    document = json_object(raw, SIGNATURES_NAME)
    plugin = document.get("plugin") or _DEFAULT_PLUGIN
    if plugin != _DEFAULT_PLUGIN:
        raise BundleVerificationError(f"no verifier exists under id {plugin}")
    tokens = document.get("signatures") or []
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise BundleVerificationError(f"{SIGNATURES_NAME}: signatures must be a list of strings")
    if not tokens:
        raise BundleVerificationError(f"{SIGNATURES_NAME}: missing JWT (expected exactly one)")
    if len(tokens) > MAX_TOKENS:
        raise BundleVerificationError(f"{SIGNATURES_NAME}: more than {MAX_TOKENS} JWTs")
    return tokens


def _verified_payloads(
    tokens: list[str], rules: Signing, keys: Mapping[str, Key]
) -> dict[str, JsonObject]:
    """Return key id -> payload of the signatures, by at least `threshold` different keys."""
    payloads: dict[str, JsonObject] = {}
    signers = set()
    unknown = []
    for text in tokens:
        token = split_token(text)
        key_id = _key_id(token, rules, keys, is_only=len(tokens) == 1)
        key = keys.get(key_id)
        if key is None or not key.key or not _is_allowed(key, rules):
            # While keys are rotated, one among several is for agents with other keys.
            unknown.append(key_id)
            continue
        if not is_signed_by(key, token.signed, token.signature):
            raise BundleVerificationError("failed to verify JWT signature")
        if (token.payload.get("scope") or "") != (rules.scope or key.scope):
            raise BundleVerificationError("scope mismatch")
        payloads[key_id] = token.payload
        # A key under two names is still one signer.
        signers.add(signer_of(key) if rules.threshold > 1 else key_id)
    if not payloads:
        raise BundleVerificationError(
            f"verification key corresponding to ID {' or '.join(unknown)} not found"
        )
    if len(signers) < rules.threshold:
        raise BundleVerificationError(
            f"{SIGNATURES_NAME}: {len(signers)} of {rules.threshold} required signatures"
        )
    return payloads


def _is_allowed(key: Key, rules: Signing) -> bool:
    return not rules.key_ids or key.id in rules.key_ids or key.in_set in rules.key_ids


def _key_id(token: Token, rules: Signing, keys: Mapping[str, Key], *, is_only: bool) -> str:
    key_id = token.header.get("kid") or token.payload.get("keyid")
    named = rules.key_ids[0] if len(rules.key_ids) == 1 else ""
    # A set has no key of its own name: there the token says which.
    if named and (is_only or not key_id) and not any(key.in_set == named for key in keys.values()):
        return named
    if not key_id or not isinstance(key_id, str):
        raise BundleVerificationError("verification key ID is empty")
    return key_id


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
