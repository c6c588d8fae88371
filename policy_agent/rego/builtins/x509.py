"""OPA's `crypto.x509` built-ins and `crypto.parse_private_keys`.

Source: OPA v1.22 v1/topdown/crypto.go.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key

from policy_agent.rego.builtins.go_base64 import Base64Error, decode_standard, encode_url
from policy_agent.rego.builtins.go_text import from_bytes
from policy_agent.rego.builtins.operands import int64_or_none, is_number, need_object, need_string
from policy_agent.rego.builtins.pem import blocks
from policy_agent.rego.builtins.registry import Builtin, BuiltinError
from policy_agent.rego.builtins.x509_chain import Wanted, verified_chain
from policy_agent.rego.builtins.x509_json import (
    base64,
    certificate_json,
    private_key_json,
    request_json,
    uri_strings,
)
from policy_agent.rego.context import Context
from policy_agent.rego.values import Frozen, RegoSet, Value, ordered

_BEGIN: Final = "-----BEGIN"
_PRIVATE_KINDS: Final = ("RSA PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_USAGES: Final = (
    "KeyUsageAny",
    "KeyUsageServerAuth",
    "KeyUsageClientAuth",
    "KeyUsageCodeSigning",
    "KeyUsageEmailProtection",
    "KeyUsageIPSECEndSystem",
    "KeyUsageIPSECTunnel",
    "KeyUsageIPSECUser",
    "KeyUsageTimeStamping",
    "KeyUsageOCSPSigning",
    "KeyUsageMicrosoftServerGatedCrypto",
    "KeyUsageNetscapeServerGatedCrypto",
    "KeyUsageMicrosoftCommercialCodeSigning",
    "KeyUsageMicrosoftKernelCodeSigning",
)
_CURVES: Final = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_MALFORMED: Final = "x509: malformed certificate"


def _base64(text: str) -> bytes:
    try:
        return decode_standard(text)
    except Base64Error as exc:
        raise BuiltinError(str(exc)) from exc


def _certificates(text: str) -> list[x509.Certificate]:
    """Return the certificates of PEM, of PEM in base64 or of DER in base64."""
    if not text.startswith(_BEGIN):
        raw = _base64(text)
        if not raw.startswith(_BEGIN.encode()):
            return _parse_der(raw)
        text = from_bytes(raw)
    joined = b""
    for block in blocks(text):
        if block.kind != "CERTIFICATE":
            raise BuiltinError(f"PEM block type is '{block.kind}', expected CERTIFICATE")
        joined += block.der
    return _parse_der(joined)


def _parse_der(raw: bytes) -> list[x509.Certificate]:
    found = []
    while raw:
        length = _der_length(raw)
        try:
            certificate = x509.load_der_x509_certificate(raw[:length])
            # Names and extensions are parsed only when they are asked for.
            certificate_json(certificate)
        except Exception as exc:
            raise BuiltinError(_MALFORMED) from exc
        found.append(certificate)
        raw = raw[length:]
    return found


def _der_length(raw: bytes) -> int:
    """Return the bytes of the first element."""
    if len(raw) < 2 or raw[0] != 0x30:
        raise BuiltinError(_MALFORMED)
    if raw[1] < 0x80:
        return 2 + raw[1]
    count = raw[1] & 0x7F
    return 2 + count + int.from_bytes(raw[2 : 2 + count])


def _extended(certificate: x509.Certificate) -> dict[str, Any]:
    shape = certificate_json(certificate)
    return {**shape, "URIStrings": uri_strings(shape)}


def _parse_certificates(text: Value) -> Value:
    return [_extended(each) for each in _certificates(need_string(text, 1))]


def _verify(text: str, wanted: Wanted) -> list[x509.Certificate] | None:
    try:
        certificates = _certificates(text)
    except BuiltinError:
        return None
    return verified_chain(certificates, wanted) if len(certificates) >= 2 else None


def _at(nanos: int) -> datetime:
    return _EPOCH + timedelta(microseconds=nanos // 1_000)


def _parse_and_verify(context: Context, text: Value) -> Value:
    chain = _verify(need_string(text, 1), Wanted(_at(context.now_ns)))
    return [False, []] if chain is None else [True, [_extended(each) for each in chain]]


def _parse_and_verify_with_options(context: Context, text: Value, options: Value) -> Value:
    text, options = need_string(text, 1), need_object(options, 2)
    try:
        _certificates(text)
    except BuiltinError:
        return [False, []]
    chain = _verify(text, _wanted(context, options))
    return [False, []] if chain is None else [True, [certificate_json(each) for each in chain]]


def _wanted(context: Context, options: dict[Frozen, Value]) -> Wanted:
    at, dns_name = _at(context.now_ns), ""
    usages: tuple[int, ...] = (1,)
    for key in ordered(key for key in options if type(key) is str):
        value = options[key]
        if key == "DNSName":
            if type(value) is not str:
                raise BuiltinError("'DNSName' should be a string")
            dns_name = value.strip('"')
        elif key == "CurrentTime":
            at = _at(_option_int(value, "'CurrentTime'", "a valid int64 number"))
        elif key == "MaxConstraintComparisons":
            _option_int(value, "'MaxConstraintComparisons'", "a valid number")
        elif key == "KeyUsages":
            usages = _option_usages(value) or usages
        else:
            raise BuiltinError("invalid key option")
    return Wanted(at, usages, dns_name)


def _option_int(value: Value, name: str, wanted: str) -> int:
    if not is_number(value):
        raise BuiltinError(f"{name} should be a number")
    number = int64_or_none(value)
    if number is None:
        raise BuiltinError(f"{name} should be {wanted}")
    return number


def _option_usages(value: Value) -> tuple[int, ...]:
    if type(value) is not list and type(value) is not RegoSet:
        raise BuiltinError("'KeyUsages' should be an Array or Set")
    names = [name.strip('"') for name in value if type(name) is str]
    if unknown := [name for name in names if name not in _USAGES]:
        raise BuiltinError(f"invalid entries for 'KeyUsages' found: [{' '.join(unknown)}]")
    return tuple(_USAGES.index(name) for name in names)


def _parse_request(text: Value) -> Value:
    text = need_string(text, 1)
    if not text.startswith("-----BEGIN CERTIFICATE REQUEST-----"):
        raw = _base64(text)
        text = from_bytes(raw)
    else:
        raw = b""
    block = next(blocks(text), None)
    if block is not None:
        if block.kind != "CERTIFICATE REQUEST":
            raise BuiltinError("invalid PEM-encoded certificate signing request")
        raw = block.der
    try:
        return request_json(x509.load_der_x509_csr(raw))
    except Exception as exc:
        raise BuiltinError("asn1: structure error: malformed certificate request") from exc


def _private_keys(text: str) -> list[Any]:
    with suppress(Base64Error):
        text = from_bytes(decode_standard(text))
    found = []
    for block in blocks(text):
        if block.kind in _PRIVATE_KINDS:
            try:
                found.append(load_der_private_key(block.der, None))
            except Exception as exc:
                raise BuiltinError("x509: failed to parse private key") from exc
    return found


def _parse_private_keys(text: Value) -> Value:
    text = need_string(text, 1)
    return [private_key_json(key) for key in _private_keys(text)] if text else None


def _parse_rsa_private_key(text: Value) -> Value:
    text = need_string(text, 1)
    if not text:
        raise BuiltinError("input PEM data was empty")
    if not text.startswith(_BEGIN):
        text = from_bytes(_base64(text))
    keys = _private_keys(text)
    return _jwk(keys[0]) if keys else None


def _number(value: int, width: int | None = None) -> str:
    return encode_url(value.to_bytes(width or max((value.bit_length() + 7) // 8, 1)))


def _jwk(key: Any) -> dict[str, str]:
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.private_numbers()
        parts = {
            "n": numbers.public_numbers.n,
            "e": numbers.public_numbers.e,
            "d": numbers.d,
            "p": numbers.p,
            "q": numbers.q,
            "dp": numbers.dmp1,
            "dq": numbers.dmq1,
            "qi": numbers.iqmp,
        }
        return {"kty": "RSA", **{name: _number(value) for name, value in parts.items()}}
    if isinstance(key, ec.EllipticCurvePrivateKey):
        width = (key.curve.key_size + 7) // 8
        point = key.public_key().public_numbers()
        return {
            "kty": "EC",
            "crv": _CURVES.get(key.curve.name, key.curve.name),
            "d": _number(key.private_numbers().private_value, width),
            "x": _number(point.x, width),
            "y": _number(point.y, width),
        }
    if isinstance(key, ed25519.Ed25519PrivateKey):
        public = key.public_key().public_bytes_raw()
        shown = {"d": encode_url(key.private_bytes_raw()), "x": encode_url(public)}
        return {"kty": "OKP", "crv": "Ed25519", **shown}
    raise BuiltinError(f"cannot show a key of type {type(key).__name__}")


def _parse_keypair(certificate: Value, key: Value) -> Value:
    # OPA numbers both operands 1.
    certificates = _certificates(need_string(certificate, 1))
    key = need_string(key, 1)
    if not key.startswith(_BEGIN):
        raw = _base64(key)
        key = from_bytes(raw)
        if not key.startswith(_BEGIN):
            key = f"-----BEGIN PRIVATE KEY-----\n{base64(raw)}\n-----END PRIVATE KEY-----\n"
    keys = _private_keys(key)
    if not certificates:
        raise BuiltinError("tls: failed to find any PEM data in certificate input")
    if not keys:
        raise BuiltinError("tls: failed to find any PEM data in key input")
    public, wanted = keys[0].public_key(), certificates[0].public_key()
    if type(public) is not type(wanted):
        raise BuiltinError("tls: private key type does not match public key type")
    if public != wanted:
        raise BuiltinError("tls: private key does not match public key")
    shapes = [certificate_json(each) for each in certificates]
    return {
        "Certificate": [shape["Raw"] for shape in shapes],
        "Leaf": shapes[0],
        "PrivateKey": private_key_json(keys[0]),
        "OCSPStaple": None,
        "SignedCertificateTimestamps": None,
        "SupportedSignatureAlgorithms": None,
    }


BUILTINS: Final = {
    builtin.name: builtin
    for builtin in (
        Builtin("crypto.parse_private_keys", _parse_private_keys),
        Builtin("crypto.x509.parse_certificates", _parse_certificates),
        Builtin("crypto.x509.parse_certificate_request", _parse_request),
        Builtin("crypto.x509.parse_keypair", _parse_keypair),
        Builtin("crypto.x509.parse_rsa_private_key", _parse_rsa_private_key),
        Builtin("crypto.x509.parse_and_verify_certificates", _parse_and_verify, needs_context=True),
        Builtin(
            "crypto.x509.parse_and_verify_certificates_with_options",
            _parse_and_verify_with_options,
            needs_context=True,
        ),
    )
}
