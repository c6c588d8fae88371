"""OPA's `io.jwt` built-ins.

Source: OPA v1.22 v1/topdown/tokens.go.
"""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Any, Final

from msgspec import Struct

from policy_agent.codec import decode_json, encode_json
from policy_agent.errors import DocumentError
from policy_agent.number import Number
from policy_agent.rego.builtins.go_base64 import Base64Error, decode_url, encode_url
from policy_agent.rego.builtins.go_text import from_bytes, to_bytes
from policy_agent.rego.builtins.jwk import ALGORITHMS, Key, parse_jwks, verification_keys
from policy_agent.rego.builtins.jws import public_part, sign, verified, verified_hmac
from policy_agent.rego.builtins.operands import is_number, need_object, need_string
from policy_agent.rego.builtins.registry import Builtin, BuiltinError
from policy_agent.rego.context import Context
from policy_agent.rego.values import Value, compare, to_json

_SECTIONS: Final = 3
_NESTED: Final = "JWT"
_HEADER_TEXTS: Final = frozenset(("alg", "kid", "typ", "cty"))
_UNVERIFIED: Final[list[Value]] = [False, {}, {}]


class _Token(Struct, frozen=True):
    """A token's three sections, still encoded."""

    header: str
    payload: str
    signature: str

    @property
    def signed(self) -> bytes:
        return to_bytes(f"{self.header}.{self.payload}")


def _split(value: Value) -> _Token:
    text = need_string(value, 1)
    if "." not in text:
        raise BuiltinError("encoded JWT had no period separators")
    parts = text.split(".")
    if len(parts) != _SECTIONS:
        raise BuiltinError(f"encoded JWT must have 3 sections, found {len(parts)}")
    return _Token(*parts)


def _decoded(section: str, what: str = "") -> bytes:
    try:
        return decode_url(section)
    except Base64Error as exc:
        prefix = f"JWT {what} had invalid encoding: " if what else ""
        raise BuiltinError(f"{prefix}{exc}") from exc


def _object(raw: bytes, prefix: str = "") -> dict[str, Any]:
    try:
        value = decode_json(raw)
    except DocumentError as exc:
        raise BuiltinError(f"{prefix}invalid JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise BuiltinError(f"{prefix}decoded JSON type was not an Object")
    return value


def _header(token: _Token) -> dict[str, Any]:
    header = _object(_decoded(token.header, "header"), "bad JWT header: ")
    if "enc" in header:
        raise BuiltinError("JWT is a JWE object, which is not supported")
    return header


def _decode(value: Value) -> Value:
    while True:
        token = _split(value)
        header = _header(token)
        payload = _decoded(token.payload, "payload")
        if header.get("cty") != _NESTED:
            break
        value = from_bytes(payload).strip("\"'")
    return [header, _object(payload), _decoded(token.signature, "signature").hex()]


class _Header(Struct, frozen=True):
    """What verification needs of a token's header."""

    algorithm: str
    key_id: str
    content_type: str
    is_understood: bool


def _read_header(header: dict[str, Any]) -> _Header:
    for name in sorted(header):
        if name in _HEADER_TEXTS and not isinstance(header[name], str):
            raise BuiltinError(f"{name}: must be a string")
        if name == "crit":
            _check_critical(header[name])
    unknown = header.keys() - _HEADER_TEXTS - {"crit"}
    critical = [name for name in header.get("crit", []) if isinstance(name, str)]
    return _Header(
        header.get("alg", ""),
        header.get("kid", ""),
        header.get("cty", ""),
        bool(header.get("alg")) and unknown.isdisjoint(critical),
    )


def _check_critical(names: Any) -> None:
    if not isinstance(names, list):
        raise BuiltinError("crit: must be a list")
    if not names or not isinstance(names[0], str):
        raise BuiltinError("crit: must be a nonempty list")


def _fits(keys: tuple[Key, ...], header: _Header) -> list[Any]:
    """Return the keys to try: the one the token names, else those for its algorithm."""
    if header.key_id:
        for key in keys:
            if key.key_id == header.key_id:
                return [key.key]
    return [key.key for key in keys if key.algorithm in ("", header.algorithm)]


def _verify(algorithm: str, token: Value, key_text: Value) -> Value:
    parts = _split(token)
    keys = verification_keys(need_string(key_text, 2))
    signature = _decoded(parts.signature)
    header = _read_header(_header(parts))
    candidates = _fits(keys, header)
    return any(
        not isinstance(key, bytes) and verified(algorithm, key, parts.signed, signature)
        for key in candidates
    )


def _verify_hmac(algorithm: str, token: Value, secret: Value) -> Value:
    need_string(token, 1)
    key = to_bytes(need_string(secret, 2))
    parts = _split(token)
    return verified_hmac(algorithm, key, parts.signed, _decoded(parts.signature))


class _Constraints(Struct):
    """What `io.jwt.decode_verify` demands of a token."""

    keys: tuple[Key, ...] | None = None
    secret: str = ""
    algorithm: str = ""
    issuer: str = ""
    audience: str = ""
    time_ns: float = -1.0


def _constraints(context: Context, operand: Value) -> _Constraints:
    wanted = _Constraints()
    fields = {"secret": "secret", "alg": "algorithm", "iss": "issuer", "aud": "audience"}
    for name in sorted(map(str, need_object(operand, 2))):
        value = operand[name]
        if name in fields:
            setattr(wanted, fields[name], _constraint_text(name, value))
        elif name == "cert":
            wanted.keys = verification_keys(_constraint_text(name, value))
        elif name == "time":
            wanted.time_ns = _constraint_time(value)
        else:
            raise BuiltinError(f"unknown token validation constraint: {name}")
    if wanted.time_ns < 0:
        wanted.time_ns = float(context.now_ns)
    if wanted.keys is not None and wanted.secret:
        raise BuiltinError("duplicate key constraints")
    if wanted.keys is None and not wanted.secret:
        raise BuiltinError("no key constraint")
    return wanted


def _constraint_text(name: str, value: Value) -> str:
    if type(value) is not str:
        raise BuiltinError(f"{name} constraint: must be a string")
    return value


def _constraint_time(value: Value) -> float:
    if not is_number(value):
        raise BuiltinError("token time constraint: must be a number")
    if value < 0:
        raise BuiltinError("token time constraint: must not be negative")
    try:
        return float(value)
    except OverflowError as exc:
        raise BuiltinError("token time constraint: unvalid float64") from exc


def _decode_verify(context: Context, token: Value, constraints: Value) -> Value:
    wanted = _constraints(context, constraints)
    while True:
        parts = _split(token)
        raw_header = _header(parts)
        header = _read_header(raw_header)
        if not header.is_understood or wanted.algorithm not in ("", header.algorithm):
            return _UNVERIFIED
        if not _is_signed(wanted, header, parts):
            return _UNVERIFIED
        raw_payload = _decoded(parts.payload, "payload")
        if header.content_type.upper() != _NESTED:
            break
        token = from_bytes(raw_payload)
    payload = _object(raw_payload)
    if not _claims_hold(wanted, payload):
        return _UNVERIFIED
    return [True, raw_header, payload]


def _is_signed(wanted: _Constraints, header: _Header, token: _Token) -> bool:
    signature = _decoded(token.signature)
    if header.algorithm not in ALGORITHMS:
        return False
    if wanted.keys is None:
        keys: list[Any] = [to_bytes(wanted.secret)]
    else:
        keys = [public_part(key) for key in _fits(wanted.keys, header)]
    return any(verified(header.algorithm, key, token.signed, signature) for key in keys)


def _claims_hold(wanted: _Constraints, payload: dict[str, Any]) -> bool:
    if wanted.issuer and payload.get("iss") != wanted.issuer:
        return False
    if "aud" in payload:
        audience = payload["aud"]
        audiences = audience if isinstance(audience, list) else [audience]
        if not any(type(each) is str and each == wanted.audience for each in audiences):
            return False
    elif wanted.audience:
        return False
    now = Number(format(Decimal(repr(wanted.time_ns / 1_000_000_000)), "f"))
    if "exp" in payload and compare(now, _claim_time(payload, "exp")) >= 0:
        return False
    return not ("nbf" in payload and compare(now, _claim_time(payload, "nbf")) < 0)


def _claim_time(payload: dict[str, Any], name: str) -> Value:
    if not is_number(payload[name]):
        raise BuiltinError(f"{name} value must be a number")
    return payload[name]


def _encode_sign(header: Value, payload: Value, key: Value) -> Value:
    return _sign(*(encode_json(to_json(part)) for part in (header, payload, key)))


def _encode_sign_raw(header: Value, payload: Value, key: Value) -> Value:
    key = need_string(key, 3)
    texts = need_string(header, 1), need_string(payload, 2), key
    return _sign(*(to_bytes(text) for text in texts))


def _sign(header: bytes, payload: bytes, jwk: bytes) -> Value:
    keys = parse_jwks(jwk)
    if not keys:
        raise BuiltinError("no keys found in JWK set")
    algorithm, kind = _signing_header(header)
    if kind in (None, _NESTED) and not _is_json(payload):
        raise BuiltinError("type is JWT but payload is not JSON")
    signed = f"{encode_url(header)}.{encode_url(payload)}"
    return f"{signed}.{encode_url(sign(algorithm, keys[0].key, to_bytes(signed)))}"


def _signing_header(raw: bytes) -> tuple[str, str | None]:
    """Return a header's algorithm and type; None for a type that is missing or no string."""
    refused = "missing or invalid 'alg' header: "
    if not raw.strip():
        raise BuiltinError(
            f'{refused}cannot parse JSON: cannot parse empty string; unparsed tail: ""'
        )
    try:
        header = decode_json(raw)
    except DocumentError as exc:
        raise BuiltinError(f"{refused}cannot parse JSON: {exc}") from exc
    if not isinstance(header, dict) or "alg" not in header:
        raise BuiltinError(f'{refused}jwsbb: header "alg" not found')
    algorithm, kind = header["alg"], header.get("typ")
    if not isinstance(algorithm, str):
        raise BuiltinError(f"{refused}value doesn't contain string")
    if algorithm not in ALGORITHMS:
        raise BuiltinError(f"unknown JWS algorithm: {algorithm}")
    return algorithm, kind if isinstance(kind, str) else None


def _is_json(raw: bytes) -> bool:
    try:
        decode_json(raw)
    except DocumentError:
        return False
    return True


def _verifier(algorithm: str) -> Builtin:
    check = _verify_hmac if algorithm.startswith("HS") else _verify
    return Builtin(f"io.jwt.verify_{algorithm.lower()}", partial(check, algorithm))


BUILTINS: Final = {
    builtin.name: builtin
    for builtin in (
        Builtin("io.jwt.decode", _decode),
        Builtin("io.jwt.decode_verify", _decode_verify, needs_context=True),
        Builtin("io.jwt.encode_sign", _encode_sign),
        Builtin("io.jwt.encode_sign_raw", _encode_sign_raw),
        *map(_verifier, ALGORITHMS),
    )
}
