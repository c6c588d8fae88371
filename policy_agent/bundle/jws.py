"""Tokens in JWS compact form, and the keys they are checked with (RFC 7515, RFC 7518 section 3).

Pure. Nothing here decides which key a token is checked with.
"""

from __future__ import annotations

import binascii
import hmac
from typing import Any

from msgspec import Struct

from policy_agent import codec
from policy_agent.config import Key
from policy_agent.errors import BundleVerificationError, DocumentError
from policy_agent.model import JsonObject


class Token(Struct, frozen=True):
    """A token's parts, of which nothing is checked; `signed` is what `signature` is about."""

    header: JsonObject
    payload: JsonObject
    signed: bytes
    signature: bytes


def split_token(token: str) -> Token:
    """Take a token apart.

    Raises:
        BundleVerificationError: it is no JWT, or one with extensions that must be understood.
    """
    parts = token.split(".")
    if len(parts) != 3:
        raise BundleVerificationError("failed to split compact JWT: it does not have three parts")
    header = json_object(_base64url(parts[0]), "JWT header")
    payload = json_object(_base64url(parts[1]), "JWT payload")
    if "crit" in header:
        raise BundleVerificationError("JWT header: critical extensions are not supported")
    return Token(header, payload, f"{parts[0]}.{parts[1]}".encode(), _base64url(parts[2]))


def is_signed_by(key: Key, signed: bytes, signature: bytes) -> bool:
    """Tell whether `signature` is that of `signed` by a key and its algorithm.

    Raises:
        BundleVerificationError: the key cannot be used with its algorithm.
    """
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


def signer_of(key: Key) -> bytes:
    """Return what is the same for two names or encodings of one key."""
    if key.algorithm.startswith("HS"):
        return key.key.encode()
    from cryptography.hazmat.primitives import serialization

    der: bytes = _public_key(key.key).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return der


def _public_key(pem: str) -> Any:
    from cryptography.hazmat.primitives import serialization
    from cryptography.x509 import load_pem_x509_certificate

    raw = pem.encode()
    if "-----BEGIN CERTIFICATE-----" in pem:
        return load_pem_x509_certificate(raw).public_key()
    if " PRIVATE KEY-----" in pem:
        return serialization.load_pem_private_key(raw, password=None).public_key()
    return serialization.load_pem_public_key(raw)


def json_object(raw: bytes, what: str) -> JsonObject:
    """Return the JSON object in a text.

    Args:
        what: the text is, for the message.

    Raises:
        BundleVerificationError: it is something else.
    """
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
