"""The object that describes an HTTP request to `http.send` and `providers.aws.sign_req`.

Pure. Source: OPA v1.22 v1/topdown/http.go and providers.go.
"""

from __future__ import annotations

from typing import Final

from policy_agent.codec import encode_json
from policy_agent.rego.builtins.operand_text import set_text
from policy_agent.rego.builtins.operands import need_object
from policy_agent.rego.builtins.registry import operand_error
from policy_agent.rego.values import Frozen, Value, to_json

_KNOWN: Final = frozenset(
    (
        "method",
        "url",
        "body",
        "enable_redirect",
        "force_json_decode",
        "force_yaml_decode",
        "headers",
        "raw_body",
        "tls_use_system_certs",
        "tls_ca_cert",
        "tls_ca_cert_file",
        "tls_ca_cert_env_variable",
        "tls_client_cert",
        "tls_client_cert_file",
        "tls_client_cert_env_variable",
        "tls_client_key",
        "tls_client_key_file",
        "tls_client_key_env_variable",
        "tls_insecure_skip_verify",
        "tls_server_name",
        "timeout",
        "cache",
        "force_cache",
        "force_cache_duration_seconds",
        "raise_error",
        "caching_mode",
        "max_retry_attempts",
        "cache_ignored_headers",
    )
)
_REQUIRED: Final = ("method", "url")


def need_request(operand: Value, position: int) -> dict[Frozen, Value]:
    """Return an operand that has a request's keys and no others.

    Raises:
        BuiltinError: it is no object, or a key is unknown or missing.
    """
    request = need_object(operand, position)
    if unknown := [key for key in request if key not in _KNOWN]:
        problem = f"invalid request parameters(s): {set_text(unknown)}"
        raise operand_error(position, problem)
    if missing := [key for key in _REQUIRED if key not in request]:
        problem = f"missing required request parameters(s): {set_text(missing)}"
        raise operand_error(position, problem)
    return request


def text_or_empty(value: Value) -> str:
    """Return a string as it is, "" for any other value."""
    return value if type(value) is str else ""


def json_body(value: Value) -> bytes:
    """Return a value as the JSON body that OPA sends."""
    return encode_json(to_json(value))
