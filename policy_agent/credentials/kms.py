"""AWS KMS: fetch a public key, sign with a private one that never leaves it.

Spoken directly, as the SDK costs Init 200 ms of CPU and the layer 32 MB. Source: AWS KMS API
Reference, GetPublicKey and Sign.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from typing import Any, Final

from policy_agent.codec import decode_json, encode_json
from policy_agent.config.aws import (
    AwsCredentials,
    EnvironmentCredentials,
    ProfileCredentials,
    WebIdentityCredentials,
)
from policy_agent.credentials.aws_keys import AwsKeys, Environ, call, endpoint
from policy_agent.credentials.aws_sources import find
from policy_agent.errors import DocumentError, TransportError
from policy_agent.http_client import Request

_ALGORITHMS: Final = {"RS": "RSASSA_PKCS1_V1_5_SHA_", "PS": "RSASSA_PSS_SHA_", "ES": "ECDSA_SHA_"}
_MAX_RAW_BYTES: Final = 4096  # of what KMS digests itself
_LINE_CHARACTERS: Final = 64


async def public_key(key_id: str, timeout_seconds: float, environ: Environ = os.environ) -> str:
    """Return a key's public half in PEM.

    Args:
        key_id: an id, ARN or `alias/…`; the region is the ARN's, else the environment's.

    Raises:
        TransportError: there are no credentials, or KMS does not give the key.
    """
    answer = await _ask("GetPublicKey", {"KeyId": key_id}, key_id, timeout_seconds, environ)
    text = base64.b64encode(_bytes(answer, "PublicKey")).decode()
    places = range(0, len(text), _LINE_CHARACTERS)
    lines = "\n".join(text[place : place + _LINE_CHARACTERS] for place in places)
    return f"-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n"


async def sign(
    key_id: str,
    message: bytes,
    algorithm: str,
    timeout_seconds: float,
    environ: Environ = os.environ,
) -> bytes:
    """Return KMS's signature of `message`; that of ECDSA is in DER.

    Args:
        algorithm: of JWS, RS256 to ES512.

    Raises:
        TransportError: there are no credentials, or KMS does not sign.
    """
    bits, kind = algorithm[2:], "RAW"
    if len(message) > _MAX_RAW_BYTES:
        message, kind = hashlib.new(f"sha{bits}", message).digest(), "DIGEST"
    request = {
        "KeyId": key_id,
        "Message": base64.b64encode(message).decode(),
        "MessageType": kind,
        "SigningAlgorithm": _ALGORITHMS[algorithm[:2]] + bits,
    }
    return _bytes(await _ask("Sign", request, key_id, timeout_seconds, environ), "Signature")


async def _ask(
    action: str, body: dict[str, str], key_id: str, timeout_seconds: float, environ: Environ
) -> Any:
    named = key_id.split(":")[3] if key_id.startswith("arn:") and key_id.count(":") > 3 else ""
    environ = {**environ, "AWS_REGION": named} if named else environ
    keys = await _credentials(environ, timeout_seconds)
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": f"TrentService.{action}",
    }
    request = Request("POST", endpoint("kms", keys.region, environ), headers, encode_json(body))
    answer = await call(request, timeout_seconds, keys=keys, service="kms")
    try:
        return decode_json(answer)
    except DocumentError as exc:
        raise TransportError(f"KMS gave no JSON: {exc}") from exc


async def _credentials(environ: Environ, timeout_seconds: float) -> AwsKeys:
    reasons = []
    sources: list[AwsCredentials] = [EnvironmentCredentials(), WebIdentityCredentials()]
    for source in [*sources, ProfileCredentials()]:
        try:
            return await find(source, environ, timeout_seconds)
        except TransportError as exc:
            reasons.append(str(exc))
    raise TransportError(f"no AWS credentials: {'; '.join(reasons)}")


def _bytes(answer: Any, member: str) -> bytes:
    try:
        return base64.b64decode(answer[member], validate=True)
    except (LookupError, TypeError, binascii.Error) as exc:
        raise TransportError(f"KMS gave no {member}") from exc
