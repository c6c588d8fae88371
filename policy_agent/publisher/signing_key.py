"""Sign bytes with a private key or a secret, by the algorithms that OPA knows.

Pure but for KMS, which is asked for each signature. Signatures repeat exactly where the algorithm
allows it: ECDSA takes its nonce from key and message (RFC 6979), though not in KMS; those of PS256
to PS512 carry a random salt.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from typing import Any, Final

from policy_agent.errors import ConfigError, TransportError

_CURVES: Final = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}

_HALF_BYTES: Final = {"ES256": 32, "ES384": 48, "ES512": 66}
KMS_SCHEME: Final = "awskms:///"
_KMS_TIMEOUT_SECONDS: Final = 30

Sign = Callable[[bytes], bytes]


def signing_function(key: str, algorithm: str) -> Sign:
    """Return the function that signs bytes as a JWS signature (RFC 7518, section 3).

    Args:
        key: an unencrypted private key in PEM, `awskms:///<key id, ARN or alias>`, or the secret
            for HS256 to HS512.
        algorithm: one of `config.ALGORITHMS`.

    Raises:
        ConfigError: the key cannot be used with the algorithm; the message never shows it.
    """
    if algorithm.startswith("HS"):
        secret = key.encode()
        return lambda message: hmac.digest(secret, message, f"sha{algorithm[2:]}")
    if key.startswith(KMS_SCHEME):
        return _kms(key.removeprefix(KMS_SCHEME), algorithm)
    private = _private_key(key)
    return _ecdsa(private, algorithm) if algorithm in _CURVES else _rsa(private, algorithm)


def _private_key(pem: str) -> Any:
    # Importing cryptography costs 50 ms, which an HMAC should not pay.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise ConfigError(["signing key: is not an unencrypted private key in PEM"]) from exc


def _rsa(private: Any, algorithm: str) -> Sign:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    if not isinstance(private, rsa.RSAPrivateKey):
        raise ConfigError([f"signing key: {algorithm} needs an RSA private key"])
    sha = getattr(hashes, f"SHA{algorithm[2:]}")()
    rules: Any = padding.PKCS1v15()
    if algorithm.startswith("PS"):
        rules = padding.PSS(padding.MGF1(sha), salt_length=sha.digest_size)

    def sign(message: bytes) -> bytes:
        try:
            return private.sign(message, rules, sha)
        except ValueError as exc:
            raise ConfigError(
                [f"signing key: {private.key_size} bits are too few for {algorithm}"]
            ) from exc

    return sign


def _ecdsa(private: Any, algorithm: str) -> Sign:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    curve = _CURVES[algorithm]
    if not isinstance(private, ec.EllipticCurvePrivateKey) or private.curve.name != curve:
        raise ConfigError([f"signing key: {algorithm} needs a private key of the curve {curve}"])
    sha = getattr(hashes, f"SHA{algorithm[2:]}")()
    half_bytes = (private.key_size + 7) // 8

    def sign(message: bytes) -> bytes:
        der = private.sign(message, ec.ECDSA(sha, deterministic_signing=True))
        return _joined(der, half_bytes)

    return sign


def _kms(key_id: str, algorithm: str) -> Sign:
    from policy_agent.credentials import kms

    def sign(message: bytes) -> bytes:
        try:
            signature = asyncio.run(kms.sign(key_id, message, algorithm, _KMS_TIMEOUT_SECONDS))
        except TransportError as exc:
            raise ConfigError([f"signing key: KMS: {exc}"]) from exc
        half_bytes = _HALF_BYTES.get(algorithm)
        return _joined(signature, half_bytes) if half_bytes else signature

    return sign


def _joined(der: bytes, half_bytes: int) -> bytes:
    """Return an ECDSA signature as JWS has it: both numbers side by side."""
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    return b"".join(part.to_bytes(half_bytes, "big") for part in decode_dss_signature(der))
