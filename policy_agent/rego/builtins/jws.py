"""Signatures of JSON Web Tokens.

Source: RFC 7518 section 3. Importing this loads cryptography.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

from policy_agent.rego.builtins.registry import BuiltinError

_HASHES: Final[dict[str, HashAlgorithm]] = {"256": SHA256(), "384": SHA384(), "512": SHA512()}
_PRIVATE: Final = (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey)


def public_part(key: Any) -> Any:
    """Return what verifies a key's signatures."""
    return key.public_key() if isinstance(key, _PRIVATE) else key


def verified(algorithm: str, key: Any, message: bytes, signature: bytes) -> bool:
    """Return whether a signature is a key's, False also for a key of another kind."""
    family, chosen = algorithm[:2], _HASHES.get(algorithm[2:])
    try:
        if isinstance(key, bytes):
            return family == "HS" and verified_hmac(algorithm, key, message, signature)
        if isinstance(key, ed25519.Ed25519PublicKey) and algorithm == "EdDSA":
            key.verify(signature, message)
        elif chosen is not None and isinstance(key, rsa.RSAPublicKey) and family == "RS":
            key.verify(signature, message, padding.PKCS1v15(), chosen)
        elif chosen is not None and isinstance(key, rsa.RSAPublicKey) and family == "PS":
            salted = padding.PSS(padding.MGF1(chosen), padding.PSS.AUTO)
            key.verify(signature, message, salted, chosen)
        elif chosen is not None and isinstance(key, ec.EllipticCurvePublicKey) and family == "ES":
            half = len(signature) // 2
            pair = int.from_bytes(signature[:half]), int.from_bytes(signature[half:])
            key.verify(encode_dss_signature(*pair), message, ec.ECDSA(chosen))
        else:
            return False
    except InvalidSignature:
        return False
    return True


def verified_hmac(algorithm: str, secret: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether a signature was made with a shared secret."""
    wanted = hmac.new(secret, message, f"sha{algorithm[2:]}").digest()
    return hmac.compare_digest(signature, wanted)


def sign(algorithm: str, key: Any, message: bytes) -> bytes:
    """Sign a message.

    Raises:
        BuiltinError: the key is of another kind than the algorithm's.
    """
    family, chosen = algorithm[:2], _HASHES.get(algorithm[2:], SHA512())
    if family == "HS" and isinstance(key, bytes):
        return hmac.new(key, message, getattr(hashlib, f"sha{algorithm[2:]}")).digest()
    if family == "RS" and isinstance(key, rsa.RSAPrivateKey):
        return key.sign(message, padding.PKCS1v15(), chosen)
    if family == "PS" and isinstance(key, rsa.RSAPrivateKey):
        salted = padding.PSS(padding.MGF1(chosen), padding.PSS.DIGEST_LENGTH)
        return key.sign(message, salted, chosen)
    if family == "ES" and isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(chosen)))
        width = (key.curve.key_size + 7) // 8
        return r.to_bytes(width) + s.to_bytes(width)
    if algorithm == "EdDSA" and isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    raise BuiltinError(f"jwsbb.Sign: invalid key type for {algorithm}")
