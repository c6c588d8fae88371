"""What a policy asks of `http.send`, read from its request object.

Pure but for TLS files and environment variables, which the request may name as in OPA.
Source: OPA v1.22 v1/topdown/http.go.
"""

from __future__ import annotations

import os
import re
import ssl
import tempfile
from pathlib import Path
from typing import ClassVar, Final
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from policy_agent.record import Record
from policy_agent.rego.builtins.go_duration import DurationError, parse_duration
from policy_agent.rego.builtins.go_text import to_bytes
from policy_agent.rego.builtins.http_request import json_body
from policy_agent.rego.builtins.operand_text import quoted
from policy_agent.rego.builtins.operands import int64_or_none, is_number
from policy_agent.rego.builtins.registry import BuiltinError, operand_error
from policy_agent.rego.values import Frozen, Value, type_name

_TEXTS: Final = (
    "method",
    "url",
    "raw_body",
    "tls_ca_cert",
    "tls_ca_cert_file",
    "tls_ca_cert_env_variable",
    "tls_client_cert",
    "tls_client_cert_file",
    "tls_client_cert_env_variable",
    "tls_client_key",
    "tls_client_key_file",
    "tls_client_key_env_variable",
    "tls_server_name",
)
_SWITCHES: Final = (
    "cache",
    "force_cache",
    "force_json_decode",
    "force_yaml_decode",
    "enable_redirect",
    "tls_use_system_certs",
    "tls_insecure_skip_verify",
)
_DEFAULT_TIMEOUT_SECONDS: Final = 5.0
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")


class Options(Record, frozen=True):
    """One request, checked.

    Attributes:
        switches: the options that are true.
        socket_path: the Unix socket to use, "" for none.
        force_cache_seconds: how long to keep any answer, 0 for as its headers say.
        texts: the options that are strings, such as those of TLS.
    """

    unshown: ClassVar[frozenset[str]] = frozenset({"headers", "body", "texts"})

    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    switches: frozenset[str]
    timeout_seconds: float
    retries: int
    force_cache_seconds: int
    socket_path: str
    texts: dict[str, str]

    @property
    def host(self) -> str:
        """The host without its port."""
        return urlsplit(self.url).netloc.rpartition("@")[2].partition(":")[0]


def read_options(request: dict[Frozen, Value]) -> Options:
    """Check and read a request's options.

    Raises:
        BuiltinError: an option has a wrong type or value.
    """
    for name in _TEXTS:
        if name in request and type(request[name]) is not str:
            raise BuiltinError(f"{quoted(name)} must be a string")
    switches = frozenset(name for name in _SWITCHES if _switch(request, name))
    texts = {name: request[name].strip('"') for name in _TEXTS if name in request}
    if "raw_body" in request:
        body = to_bytes(texts["raw_body"])
    else:
        body = json_body(request["body"]) if "body" in request else b""
    url, socket_path = _socket(texts["url"])
    return Options(
        texts["method"].upper(),
        url,
        _headers(request.get("headers", {})),
        body,
        switches,
        _timeout(request["timeout"]) if "timeout" in request else _DEFAULT_TIMEOUT_SECONDS,
        _count(request, "max_retry_attempts"),
        _force_cache_seconds(request) if "force_cache" in switches else 0,
        socket_path,
        texts,
    )


def _switch(request: dict[Frozen, Value], name: str) -> bool:
    value = request.get(name, False)
    if type(value) is not bool:
        raise BuiltinError(f"invalid value for {quoted(name)} field")
    return value


def _count(request: dict[Frozen, Value], name: str) -> int:
    value = request.get(name, 0)
    if type(value) is not int or value < 0:
        raise BuiltinError(f"invalid value {value} for field {quoted(name)}")
    return value


def _force_cache_seconds(request: dict[Frozen, Value]) -> int:
    if "force_cache_duration_seconds" not in request:
        raise BuiltinError(
            "'force_cache' set but 'force_cache_duration_seconds' parameter is missing"
        )
    return _count(request, "force_cache_duration_seconds")


def _headers(value: Value) -> dict[str, str]:
    if type(value) is not dict:
        raise BuiltinError("invalid type for headers key")
    for text in value.values():
        if type(text) is not str:
            raise BuiltinError(f"invalid type for headers value {quoted(str(text))}")
    return {str(name): text for name, text in value.items()}


def _timeout(value: Value) -> float:
    if is_number(value):
        nanos = int64_or_none(value)
        if nanos is None:
            raise BuiltinError(f"invalid timeout number value {value}, must be int64")
    elif type(value) is str:
        try:
            nanos = int(value) if _INTEGER.fullmatch(value) else parse_duration(value)
        except DurationError as exc:
            raise BuiltinError(f"invalid timeout value {quoted(value)}: {exc}") from exc
    else:
        problem = f"'timeout' must be one of {{string, number}} but got {type_name(value)}"
        raise operand_error(1, problem)
    return nanos / 1e9


def _socket(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    if parts.scheme != "unix" or not parts.query:
        return url, ""
    query = parse_qs(parts.query, keep_blank_values=True)
    path = query.pop("socket", [""])[0]
    return urlunsplit(parts._replace(scheme="http", query=urlencode(query, doseq=True))), path


def tls_context(texts: dict[str, str], switches: frozenset[str]) -> ssl.SSLContext:
    """Return the TLS settings that a request asks for.

    Raises:
        BuiltinError: a certificate or key cannot be used.
    """
    authorities = _pem(texts, "tls_ca_cert").replace("\\n", "\n")
    own_only = bool(authorities) and "tls_use_system_certs" not in switches
    try:
        context = ssl.create_default_context(cadata=authorities or None)
        if not own_only:
            context.load_default_certs()
        if "tls_insecure_skip_verify" in switches:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        certificate, key = _pem(texts, "tls_client_cert"), _pem(texts, "tls_client_key")
        if certificate and key:
            _load_pair(context, certificate, key)
    except (OSError, ValueError) as exc:
        raise BuiltinError(f"cannot use the certificates of the request: {exc}") from exc
    return context


def _pem(texts: dict[str, str], name: str) -> str:
    if name in texts:
        return texts[name]
    if f"{name}_file" in texts:
        return Path(texts[f"{name}_file"]).read_text(encoding="utf-8")
    return os.environ.get(texts.get(f"{name}_env_variable", ""), "")


def _load_pair(context: ssl.SSLContext, certificate: str, key: str) -> None:
    # The ssl module reads a key only from a file; this one is readable by this process alone.
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(f"{certificate}\n{key}\n")
        file.flush()
        context.load_cert_chain(file.name)
