"""Keys for JSON Web Tokens: from PEM, from a JSON Web Key or a set of them.

Source: OPA v1.22 v1/topdown/tokens.go, RFC 7517 and RFC 7518. Importing this loads cryptography.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from msgspec import Struct

from policy_agent.codec import decode_json
from policy_agent.errors import DocumentError
from policy_agent.rego.builtins.go_base64 import decode_url
from policy_agent.rego.builtins.go_text import to_bytes
from policy_agent.rego.builtins.pem import blocks
from policy_agent.rego.builtins.registry import BuiltinError

ALGORITHMS: Final = frozenset(
    (
        *(f"{family}{bits}" for family in ("RS", "PS", "ES", "HS") for bits in (256, 384, 512)),
        "EdDSA",
    )
)
_NO_JWK: Final = "failed to parse a JWK key (set): jwk.ParseString: failed to parse string: "
_CURVES: Final[dict[str, ec.EllipticCurve]] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
}


class Key(Struct, frozen=True):
    """A key and what its JWK says of it.

    Attributes:
        algorithm: the only algorithm it may be used with, "" for any.
        key: bytes for a shared secret, else a key of cryptography.
    """

    algorithm: str
    key_id: str
    key: Any


@lru_cache(maxsize=100)
def verification_keys(text: str) -> tuple[Key, ...]:
    """Return the keys of a PEM certificate, a PEM public key, a JWK or a JWK set.

    Raises:
        BuiltinError: it is none of these.
    """
    block = next(blocks(text), None)
    if block is None:
        keys = parse_jwks(to_bytes(text), _NO_JWK)
        return tuple(key for key in keys if key.algorithm in ("", *ALGORITHMS))
    if text[block.end :]:
        raise BuiltinError("extra data after a PEM certificate block")
    if block.kind == "CERTIFICATE":
        # Late: most keys come in sets, and the parser of certificates takes 1 MB.
        from cryptography import x509

        what = "failed to parse a PEM certificate"
        try:
            return (Key("", "", x509.load_der_x509_certificate(block.der).public_key()),)
        except Exception as exc:
            raise BuiltinError(f"{what}: x509: malformed certificate") from exc
    if block.kind == "PUBLIC KEY":
        try:
            return (Key("", "", load_der_public_key(block.der)),)
        except Exception as exc:
            problem = "failed to parse a PEM public key: asn1: structure error"
            raise BuiltinError(problem) from exc
    raise BuiltinError("failed to extract a Key from the PEM certificate")


def parse_jwks(raw: bytes, prefix: str = "") -> list[Key]:
    """Return the keys of a JWK or a JWK set, with their private parts if they have them.

    Raises:
        BuiltinError: it is neither; the message begins with `prefix`.
    """
    prefix += "jwk.Parse: failed to parse sole key: jwk.ParseKey: "
    try:
        document = decode_json(raw)
        if not isinstance(document, dict):
            raise DocumentError("not an object")
    except DocumentError as exc:
        probe = "jwk.Parse: failed to probe data: probe: failed to unmarshal data: "
        raise BuiltinError(f"{prefix}{probe}{exc}") from exc
    try:
        return [_key(entry) for entry in document.get("keys", [document])]
    except (TypeError, KeyError, ValueError, AttributeError) as exc:
        raise BuiltinError(f"{prefix}{exc}") from exc


def _key(entry: Mapping[str, Any]) -> Key:
    kind = entry.get("kty", "")
    make = _MAKERS.get(kind)
    if make is None:
        raise ValueError(f"invalid key type from JSON ({kind})")
    return Key(entry.get("alg", ""), entry.get("kid", ""), make(entry))


def _number(entry: Mapping[str, Any], name: str) -> int:
    return int.from_bytes(decode_url(entry[name]))


def _symmetric(entry: Mapping[str, Any]) -> bytes:
    return decode_url(entry["k"])


def _rsa(entry: Mapping[str, Any]) -> Any:
    public = rsa.RSAPublicNumbers(_number(entry, "e"), _number(entry, "n"))
    if "d" not in entry:
        return public.public_key()
    private = _number(entry, "d")
    if "p" in entry and "q" in entry:
        p, q = _number(entry, "p"), _number(entry, "q")
    else:
        p, q = rsa.rsa_recover_prime_factors(public.n, public.e, private)
    return rsa.RSAPrivateNumbers(
        p,
        q,
        private,
        rsa.rsa_crt_dmp1(private, p),
        rsa.rsa_crt_dmq1(private, q),
        rsa.rsa_crt_iqmp(p, q),
        public,
    ).private_key()


def _elliptic(entry: Mapping[str, Any]) -> Any:
    curve = _CURVES.get(entry["crv"])
    if curve is None:
        raise ValueError(f"invalid curve algorithm {entry['crv']}")
    public = ec.EllipticCurvePublicNumbers(_number(entry, "x"), _number(entry, "y"), curve)
    if "d" not in entry:
        return public.public_key()
    return ec.EllipticCurvePrivateNumbers(_number(entry, "d"), public).private_key()


def _octet_pair(entry: Mapping[str, Any]) -> Any:
    if entry["crv"] != "Ed25519":
        raise ValueError(f"invalid curve algorithm {entry['crv']}")
    if "d" in entry:
        return ed25519.Ed25519PrivateKey.from_private_bytes(decode_url(entry["d"]))
    return ed25519.Ed25519PublicKey.from_public_bytes(decode_url(entry["x"]))


_MAKERS: Final = {"oct": _symmetric, "RSA": _rsa, "EC": _elliptic, "OKP": _octet_pair}
