"""Write and read a bundle's `.signatures.json`, in the form of OPA v1.22 v1/bundle/sign.go.

Pure. Equal files, claims and key give equal bytes, with RS256 and HS256 the very bytes of
`opa sign`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from policy_agent import codec
from policy_agent.bundle.digest import file_digest
from policy_agent.bundle.verify import SIGNATURES_NAME
from policy_agent.errors import BundleFormatError, DocumentError
from policy_agent.model import JsonObject
from policy_agent.publisher.signing_key import Sign

_DIGEST_ALGORITHM: Final = "SHA-256"  # what `opa sign` uses
_FILE_FORM: Final = '{\n "signatures": [\n  "%s"\n ]\n}'


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


def signature_file(files: Mapping[str, bytes], signer: Signer) -> bytes:
    """Return the content of `.signatures.json` for a bundle's files.

    Args:
        files: path -> content; a signature already among them is left out.

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
    return (_FILE_FORM % token).encode()


def read_signature(files: Mapping[str, bytes]) -> Signature:
    """Return what the signature of a bundle says, once `bundle.verify` has accepted it."""
    path = next(path for path in files if _is_signature(path))
    token = codec.decode_json(files[path])["signatures"][0]
    header, payload = (
        codec.decode_json(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        for part in token.split(".")[:2]
    )
    return Signature(
        key_id=header.get("kid") or payload.get("keyid") or "",
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
