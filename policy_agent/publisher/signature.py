"""Write and read a bundle's `.signatures.json`, in the form of OPA v1.22 v1/bundle/sign.go.

Pure. Equal files, claims and key give equal bytes, with RS256 and HS256 the very bytes of
`opa sign`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from policy_agent import codec
from policy_agent.bundle.digest import file_digest
from policy_agent.bundle.jws import split_token
from policy_agent.bundle.verify import SIGNATURES_NAME, read_tokens
from policy_agent.errors import BundleFormatError, DocumentError
from policy_agent.model import JsonObject
from policy_agent.publisher.signing_key import Sign

_DIGEST_ALGORITHM: Final = "SHA-256"  # what `opa sign` uses
_FILE_FORM: Final = '{\n "signatures": [\n  "%s"\n ]\n}'
_BETWEEN_TOKENS: Final = '",\n  "'


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs, and what the signature says beside the files.

    Attributes:
        sign: bytes -> JWS signature, by `algorithm`.
        key_id: the `kid` of the token, none when empty.
        claims: further claims of the payload.
    """

    algorithm: str
    sign: Sign = field(repr=False)
    key_id: str = ""
    claims: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Signature:
    """What a signature says about itself and the bundle.

    Attributes:
        key_id: "" when the signer left it to the receiver's configuration.
        scope: "" when there is none.
        file_count: how many files are vouched for.
    """

    key_id: str
    scope: str
    file_count: int


def signature_file(
    files: Mapping[str, bytes], signer: Signer, *, beside: Sequence[str] = ()
) -> bytes:
    """Return the content of `.signatures.json` for a bundle's files.

    Args:
        files: path -> content; a signature already among them is left out.
        beside: the tokens of others, which stay.

    Raises:
        BundleFormatError: a data file or manifest is not the document its name says.
        ConfigError: the key is too small for the algorithm.
    """
    header = {"alg": signer.algorithm, "typ": "JWT"}
    if signer.key_id:
        header["kid"] = signer.key_id
    payload = {**signer.claims, "files": [_entry(path, files[path]) for path in _signed(files)]}
    signed = f"{_segment(header)}.{_segment(payload)}"
    token = f"{signed}.{_base64url(signer.sign(signed.encode()))}"
    return (_FILE_FORM % _BETWEEN_TOKENS.join([*beside, token])).encode()


def tokens_of(files: Mapping[str, bytes]) -> list[str]:
    """Return the tokens that a bundle is signed with.

    Raises:
        BundleVerificationError: what should be the signature file is something else.
    """
    paths = [path for path in files if _is_signature(path)]
    return read_tokens(files[paths[0]]) if paths else []


def read_signature(files: Mapping[str, bytes], key_id: str) -> Signature:
    """Return what the signature by a key says, once `bundle.verify` has accepted it."""
    tokens = [split_token(token) for token in tokens_of(files)]
    signed_by = [token.header.get("kid") or token.payload.get("keyid") or "" for token in tokens]
    mine = signed_by.index(key_id) if key_id in signed_by else 0
    payload = tokens[mine].payload
    return Signature(
        key_id=signed_by[mine],
        scope=payload.get("scope") or "",
        file_count=len(payload.get("files") or []),
    )


def _signed(files: Mapping[str, bytes]) -> list[str]:
    # The order of a walk through directories, as in OPA.
    paths = sorted(files, key=lambda path: path.split("/"))
    return [path for path in paths if not _is_signature(path)]


def _is_signature(path: str) -> bool:
    return path.rpartition("/")[2] == SIGNATURES_NAME


def _entry(path: str, content: bytes) -> msgspec.Raw:
    try:
        digest = file_digest(path, content, _DIGEST_ALGORITHM)
    except DocumentError as exc:
        raise BundleFormatError(f"{path}: {exc}") from exc
    name = codec.encode_json(path).decode()
    # Written out because OPA keeps this order and the codec sorts keys.
    return msgspec.Raw(
        f'{{"name":{name},"hash":"{digest}","algorithm":"{_DIGEST_ALGORITHM}"}}'.encode()
    )


def _segment(value: JsonObject) -> str:
    return _base64url(codec.encode_json(value))


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
