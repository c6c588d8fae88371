"""Issuers of tokens for tests: keys, key sets and what they sign."""

from __future__ import annotations

import json
import time
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt import algorithms

ISSUER = "https://idp.example.com/"
AUDIENCE = "orders-api"


@cache
def private_key(name: str, algorithm: str = "RS256", bits: int = 2048) -> Any:
    """Return a key, the same one for the same arguments."""
    del name
    if algorithm.startswith("ES"):
        curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
        return ec.generate_private_key(curves[algorithm])
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def public_pem(name: str) -> bytes:
    """Return the public half of an RSA key as text."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = private_key(name).public_key()
    return bytes(public.public_bytes(serialization.Encoding.PEM, form))


def jwk(name: str, algorithm: str = "RS256", **members: Any) -> dict[str, Any]:
    """Return the public half as a JSON Web Key whose id is the name."""
    family = algorithms.get_default_algorithms()[algorithm]
    key = family.to_jwk(private_key(name, algorithm).public_key(), as_dict=True)
    return {**key, "kid": name, **members}


def claims(**changes: Any) -> dict[str, Any]:
    """Return good claims with changes; None takes one away."""
    now = int(time.time())
    good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 300}
    return {name: value for name, value in (good | changes).items() if value is not None}


def token(name: str = "k1", algorithm: str = "RS256", kid: Any = "", **changes: Any) -> str:
    """Return a signed token; `kid` "" names the key, None leaves the name out."""
    headers = {} if kid is None else {"kid": kid or name}
    return jwt.encode(claims(**changes), private_key(name, algorithm), algorithm, headers)


def key_set(*keys: dict[str, Any]) -> bytes:
    """Return a JSON Web Key Set."""
    return json.dumps({"keys": keys}).encode()
