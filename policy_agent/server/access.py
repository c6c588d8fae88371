"""Who may ask the agent: OPA's `--authentication` and `--authorization`.

Authentication names the caller, authorization asks the policy at `default_authorization_decision`
about every request, on every listener. Follows OPA v1.22 v1/server/identifier and authorizer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import unquote

from msgspec import Struct

from policy_agent.codec import decode_json, decode_yaml
from policy_agent.decision.decisions import Decisions
from policy_agent.errors import DocumentError, EvaluationError, RequestError
from policy_agent.model import UNDEFINED, JsonObject
from policy_agent.server import wire
from policy_agent.server.call import Call
from policy_agent.server.wire import Answer

Headers = Iterable[tuple[bytes, bytes]]

_BEARER: Final = re.compile(r"Bearer\s+(\S+)\Z")
# Their handlers look at the unescaped path, so their slashes count there.
_UNESCAPED: Final = ("/v1/policies/", "/v1/compile/")
_REJECTED: Final = "request rejected by administrative policy"
# Go's server keeps these apart from the other headers.
_NOT_SHOWN: Final = frozenset((b"host", b"transfer-encoding", b"trailer"))


class Peer(Struct, frozen=True):
    """The verified certificate of a TLS client.

    Attributes:
        subject: as RFC 4514 writes it.
        certificates: OPA's JSON of the client's certificate and those above it.
    """

    subject: str
    certificates: list[JsonObject]


class Credentials(Struct, frozen=True):
    """What a request brings to tell who sent it."""

    headers: Headers
    peer: Callable[[], Peer] | None = None


class Access:
    """Decides about requests before anything answers them.

    Args:
        decisions: whose active policy decides.
        path: of the rule that decides, below `data`.
        authentication: `off`, `token` or `tls`.
    """

    def __init__(self, decisions: Decisions, path: str, authentication: str) -> None:
        self._decisions = decisions
        self._path = path
        self._authentication = authentication

    def refusal(self, call: Call, credentials: Credentials) -> Answer | None:
        """Return the answer to a request that may not be made, None when it may."""
        question = self._described(call, credentials)
        snapshot = self._decisions.snapshot
        try:
            allowed = snapshot.policy.evaluate(self._path, question) if snapshot else UNDEFINED
        except EvaluationError as exc:
            return wire.evaluation_failed(exc.problem.to_json())
        if allowed is True:
            return None
        if allowed is UNDEFINED:
            message = "authorization policy missing or undefined"
            return wire.error_answer(500, "internal_error", message)
        reason: Any = _REJECTED
        if isinstance(allowed, dict):
            if "allowed" not in allowed:
                return wire.error_answer(500, "internal_error", "document missing or undefined")
            if allowed["allowed"] is True:
                return None
            reason = allowed.get("reason", _REJECTED)
        message = reason if isinstance(reason, str) else _REJECTED
        return wire.error_answer(401, "unauthorized", message)

    def _described(self, call: Call, credentials: Credentials) -> JsonObject:
        question: JsonObject = {
            "path": _split(call.path),
            "method": call.method,
            "params": dict(call.parameters),
            "headers": _shown(credentials.headers),
        }
        if call.parsed is not UNDEFINED:
            question["body"] = call.parsed
        if self._authentication == "token" and (token := _token(credentials.headers)):
            question["identity"] = token
        if self._authentication == "tls" and credentials.peer is not None:
            peer = credentials.peer()
            question["identity"] = peer.subject
            question["client_certificates"] = peer.certificates
        return question


def parse_body(body: bytes, content_type: str) -> Any:
    """Return a body as the rule sees it, UNDEFINED when it is empty.

    Handlers must take this value rather than read the body again: they read more leniently, and
    might find what the rule has not seen.

    Raises:
        RequestError: not JSON, nor YAML where the content type says so.
    """
    if not body:
        return UNDEFINED
    try:
        return decode_yaml(body) if "yaml" in content_type else decode_json(body)
    except DocumentError as exc:
        raise RequestError(f"body contains malformed input document: {exc}") from exc


def _split(path: str) -> list[str]:
    plain = unquote(path)
    if plain.startswith(_UNESCAPED):
        return plain[1:].split("/")
    return [unquote(part) for part in path[1:].split("/")]


def _shown(headers: Headers) -> dict[str, list[str]]:
    shown: dict[str, list[str]] = {}
    for name, value in headers:
        if name not in _NOT_SHOWN:
            shown.setdefault(_canonical(name), []).append(value.decode("utf-8", "replace"))
    return shown


def _canonical(name: bytes) -> str:
    return "-".join(part.capitalize() for part in name.decode("latin-1").split("-"))


def _token(headers: Headers) -> str:
    for name, value in headers:
        if name == b"authorization":
            match = _BEARER.match(value.decode("latin-1"))
            return match[1] if match else ""
    return ""
