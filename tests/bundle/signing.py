"""Keys and signatures for the tests of this folder, made without the code under test."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from policy_agent.config import Key

SECRET = Key(id="k", key="a shared secret", algorithm="HS256")


def digest(content: bytes, algorithm: str = "sha256") -> str:
    return hashlib.new(algorithm, content).hexdigest()


def listed(files: Mapping[str, bytes]) -> list[dict[str, str]]:
    """The payload's list of files that are not data or manifest, which are digested otherwise."""
    return [
        {"name": path, "hash": digest(content), "algorithm": "SHA-256"}
        for path, content in files.items()
    ]


def token(payload: Any, *, header: Any = None, secret: str = SECRET.key) -> str:
    head = {"alg": "HS256", "kid": SECRET.id} if header is None else header
    signed = f"{_segment(head)}.{_segment(payload)}"
    signature = hmac.digest(secret.encode(), signed.encode(), "sha256")
    return f"{signed}.{_base64url(signature)}"


def signature_file(*tokens: str, **more: Any) -> bytes:
    return json.dumps({"signatures": tokens, **more}).encode()


def _segment(value: Any) -> str:
    return _base64url(json.dumps(value).encode())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def write_key_pair(directory: Path, algorithm: str) -> tuple[Path, str]:
    """Return the private key's PEM file and the public key's PEM text."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if algorithm.startswith("ES"):
        curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
        private: Any = ec.generate_private_key(curves[algorithm])
    else:
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path = directory / f"{algorithm}.pem"
    path.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return path, public.decode()
