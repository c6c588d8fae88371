"""OPA's signing of requests to AWS, version 4.

Pure. Source: OPA v1.22 v1/topdown/providers.go.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from policy_agent.credentials.sigv4 import UNSIGNED_PAYLOAD, Signer, ToSign
from policy_agent.rego.builtins.go_text import to_bytes
from policy_agent.rego.builtins.http_request import json_body, need_request, text_or_empty
from policy_agent.rego.builtins.operand_text import quoted, set_text
from policy_agent.rego.builtins.operands import is_number, need_object
from policy_agent.rego.builtins.registry import (
    Builtin,
    BuiltinError,
    operand_error,
    operand_type_error,
)
from policy_agent.rego.values import Frozen, Value

_REQUIRED: Final = ("aws_access_key", "aws_region", "aws_secret_access_key", "aws_service")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_URL: Final = re.compile(r"(?:[^:/?#]+:)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#.*)?", re.DOTALL)
_ESCAPED_PATH: Final = re.compile(r"(?:[A-Za-z0-9\-_.~$&+,/:;=@!'()*\[\]]|%[0-9A-Fa-f]{2})*")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2}).{0,2}", re.DOTALL)


def _config(operand: Value) -> dict[Frozen, Value]:
    # OPA numbers this operand 1.
    config = need_object(operand, 1)
    if missing := [key for key in _REQUIRED if key not in config]:
        raise operand_error(2, f"missing required AWS config parameters(s): {set_text(missing)}")
    if wrong := [key for key in _REQUIRED if type(config[key]) is not str]:
        problem = f"invalid values for required AWS config parameters(s): {set_text(wrong)}"
        raise operand_error(2, problem)
    return config


def _sign_req(request: Value, config: Value, time_ns: Value) -> Value:
    need_object(request, 1)
    config = _config(config)
    if not is_number(time_ns):
        raise operand_type_error(1, time_ns, "number")
    if type(time_ns) is not int or not -(2**63) <= time_ns < 2**63:
        raise operand_error(3, "could not convert time_ns value into a unix timestamp")
    request = need_request(request, 1)
    headers = request.get("headers", {})
    if type(headers) is not dict:
        raise operand_type_error(0, headers, "object")
    if wrong := [key for key in ("method", "url") if type(request[key]) is not str]:
        problem = f"invalid values for required request parameters(s): {set_text(wrong)}"
        raise operand_error(1, problem)
    if "raw_body" in request:
        body = to_bytes(text_or_empty(request["raw_body"]))
    else:
        body = json_body(request["body"]) if "body" in request else b""
    unsigned = config.get("disable_payload_signing", False)
    if type(unsigned) is not bool:
        raise operand_error(2, "invalid value for 'disable_payload_signing' in AWS config")
    payload_hash = UNSIGNED_PAYLOAD if unsigned else hashlib.sha256(body).hexdigest()
    texts = {text_or_empty(key): text_or_empty(value) for key, value in headers.items()}
    added = _signature_headers(request, config, time_ns, payload_hash, texts)
    return {**request, "headers": {**texts, **added}}


def _signature_headers(
    request: dict[Frozen, Value],
    config: dict[Frozen, Value],
    time_ns: int,
    payload_hash: str,
    headers: dict[str, str],
) -> dict[str, str]:
    """Return the headers that sign a request."""
    signer = Signer(
        access_key=config["aws_access_key"],
        secret_key=config["aws_secret_access_key"],
        session_token=text_or_empty(config.get("aws_session_token")),
        region=config["aws_region"],
        service=config["aws_service"],
    )
    host, path, query = _split_url(request["url"])
    at = _EPOCH + timedelta(seconds=time_ns // 1_000_000_000)
    return signer.headers(ToSign(request["method"], host, path, query, headers, payload_hash), at)


def _split_url(url: str) -> tuple[str, str, str]:
    """Return host, escaped path and query of a URL, as Go's net/url has them."""
    match = _URL.fullmatch(url)
    assert match is not None
    authority, path, query = match.group(1) or "", match.group(2), match.group(3) or ""
    if bad := _BAD_ESCAPE.search(path):
        raise BuiltinError(f"parse {quoted(url)}: invalid URL escape {quoted(bad.group())}")
    if not _ESCAPED_PATH.fullmatch(path):
        path = quote(unquote_to_bytes(path), safe="$&+,/:;=@")
    return authority.rpartition("@")[2], path, query


BUILTINS: Final = {"providers.aws.sign_req": Builtin("providers.aws.sign_req", _sign_req)}
