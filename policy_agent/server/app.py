"""The ASGI application: OPA's routes onto decisions.

A plain ASGI callable rather than a framework's: a handful of fixed routes need no router, and the
decision path is what this project is for (docs/decisions.md). Handlers run on the event loop;
evaluation is synchronous and short.
"""

from __future__ import annotations

import logging
import posixpath
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Protocol

from policy_agent.config import Server
from policy_agent.decision.decisions import Decisions, Question
from policy_agent.errors import PolicyAgentError
from policy_agent.model import UNDEFINED, JsonObject
from policy_agent.server import request as reading
from policy_agent.server import wire
from policy_agent.server.wire import Answer

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_WRITES = ("PUT", "PATCH", "DELETE")


class Overview(Protocol):
    """What the server may ask about the rest of the agent."""

    def health_failure(self, *, bundles: bool, plugins: bool, excluded: list[str]) -> str:
        """Return why the agent is not healthy, "" when it is."""

    def status(self) -> JsonObject | None:
        """Return the status payload, None when no status is configured."""


class Freshness(Protocol):
    """What keeps policies from deciding when they are older than allowed."""

    def is_stale(self) -> bool:
        """Whether `freshen` has something to do."""

    async def freshen(self) -> str:
        """Wait for fresh policies; return why there are none, "" when there are."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, read completely.

    Attributes:
        refusal: why no policy may decide now, "" when one may.
    """

    method: str
    path: str
    parameters: reading.Parameters
    headers: dict[bytes, bytes]
    body: bytes
    client: str | None
    started_ns: int
    refusal: str

    def header(self, name: bytes) -> str:
        """Return a header's value, "" without one."""
        return self.headers.get(name, b"").decode("latin-1")


class ClientGoneError(Exception):
    """The caller hung up before the request was complete; there is nobody to answer."""


class App:
    """Serves OPA's data API, health and status, and refuses writes."""

    def __init__(
        self,
        decisions: Decisions,
        overview: Overview,
        freshness: Freshness,
        *,
        limits: Server,
        default_decision: str,
        show_decision_ids: bool,
    ) -> None:
        self._decisions = decisions
        self._overview = overview
        self._freshness = freshness
        self._limits = limits
        self._default_decision = default_decision
        self._show_ids = show_decision_ids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        started_ns = time.perf_counter_ns()
        method = scope["method"]
        path = scope["raw_path"].decode("latin-1")
        compressible = method in ("GET", "POST") and path.startswith(("/v1/data", "/v0/data"))
        headers = dict(scope["headers"])
        if (refused := self._announced_too_much(headers)) is not None:
            await _send(refused, send)
            return
        try:
            answer = _moved(method, path, scope["query_string"])
            if answer is None:
                body = await _read(receive, self._limits.max_request_bytes)
                call = Call(
                    method=method,
                    path=path,
                    parameters=reading.parse_parameters(scope["query_string"]),
                    headers=headers,
                    body=reading.inflate(body, _text(headers, b"content-encoding"), self._limits),
                    client=_address(scope["client"]),
                    started_ns=started_ns,
                    refusal=await self._freshness.freshen() if self._freshness.is_stale() else "",
                )
                answer = self._route(call)
        except ClientGoneError:
            return
        except PolicyAgentError as exc:
            answer = wire.answer_of_error(exc)
        except Exception:
            log.exception("A request failed unexpectedly")
            answer = wire.error_answer(500, "internal_error", "internal error; see the agent's log")
        if compressible:
            answer = wire.compress(answer, _text(headers, b"accept-encoding"), self._limits)
        await _send(answer, send)

    def _route(self, call: Call) -> Answer:
        if (path := _below(call.path, "/v1/data")) is not None:
            return self._v1_data(call, path)
        if (path := _below(call.path, "/v0/data")) is not None:
            return self._v0_data(call, path) if call.method == "POST" else wire.method_not_allowed()
        if call.path == "/":
            if call.method != "POST":
                return wire.method_not_allowed(b"POST")
            return self._v0_data(call, self._default_decision)
        if (path := _below(call.path, "/v1/policies")) is not None and call.method in _WRITES:
            return wire.write_refused(f"policies/{path}", None)
        if call.path in ("/health", "/v1/status"):
            if call.method != "GET":
                return wire.method_not_allowed(b"GET, HEAD")
            return self._health(call) if call.path == "/health" else self._status(call)
        return wire.not_found()

    def _v1_data(self, call: Call, path: str) -> Answer:
        if call.method in _WRITES:
            if call.method == "DELETE" and not path:
                return wire.method_not_allowed()
            return self._refuse_write(path)
        if call.method not in ("GET", "POST"):
            return wire.method_not_allowed()
        parse_started_ns = time.perf_counter_ns()
        metadata: JsonObject = {}
        if call.method == "GET":
            value = reading.input_of_parameter(call.parameters)
        else:
            value, metadata = reading.input_of_v1_body(call.body, call.header(b"content-type"))
        question = Question(
            path=path,
            segments=reading.parse_data_path(path),
            input=value,
            started_ns=call.started_ns,
            parse_ns=time.perf_counter_ns() - parse_started_ns,
            requested_by=call.client,
            custom={"request_metadata": metadata} if metadata else {},
            refusal=call.refusal,
        )
        options = wire.V1Options(
            show_id=self._show_ids,
            pretty=reading.flag(call.parameters, "pretty"),
            metrics=reading.flag(call.parameters, "metrics"),
            provenance=reading.flag(call.parameters, "provenance"),
            warn_missing_input=call.method == "POST" and value is UNDEFINED,
        )
        return wire.v1_answer(self._decisions.decide(question), options)

    def _v0_data(self, call: Call, path: str) -> Answer:
        parse_started_ns = time.perf_counter_ns()
        value = reading.input_of_v0_body(call.body, call.header(b"content-type"))
        segments = reading.parse_data_path(path)
        question = Question(
            path=path,
            segments=segments,
            input=value,
            started_ns=call.started_ns,
            parse_ns=time.perf_counter_ns() - parse_started_ns,
            requested_by=call.client,
            refusal=call.refusal,
        )
        decision = self._decisions.decide(question)
        pretty = reading.flag(call.parameters, "pretty")
        reference = reading.reference(segments)
        return wire.v0_answer(decision, reference, has_rules=self._has_rules(path), pretty=pretty)

    def _health(self, call: Call) -> Answer:
        flags = call.parameters
        failure = self._overview.health_failure(
            bundles=reading.flag(flags, "bundles") or reading.flag(flags, "bundle"),
            plugins=reading.flag(flags, "plugins"),
            excluded=flags.get("exclude-plugin", []),
        )
        return wire.health(failure)

    def _status(self, call: Call) -> Answer:
        status = self._overview.status()
        if status is None:
            return wire.error_answer(500, "internal_error", "status plugin not enabled")
        return wire.result(status, pretty=reading.flag(call.parameters, "pretty"))

    def _refuse_write(self, path: str) -> Answer:
        snapshot = self._decisions.snapshot
        for name, bundle in snapshot.bundles.items() if snapshot else ():
            roots = bundle.manifest.roots
            if any(_overlap(path, root) for root in roots):
                return wire.write_refused(path, name, owns_all="" in roots)
        return wire.write_refused(path, None)

    def _has_rules(self, path: str) -> bool:
        snapshot = self._decisions.snapshot
        rules = snapshot.policy.rules if snapshot else frozenset()
        return path in rules or any(rule.startswith(path + "/") for rule in rules)

    def _announced_too_much(self, headers: dict[bytes, bytes]) -> Answer | None:
        announced = headers.get(b"content-length", b"0")
        limit = self._limits.max_request_bytes
        if announced.isdigit() and int(announced) > limit:
            return wire.answer_of_error(reading.too_large(limit, int(announced)))
        return None


async def _read(receive: Receive, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            raise reading.too_large(limit)
        more = message.get("more_body", False)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _moved(method: str, path: str, query: bytes) -> Answer | None:
    with_body = method == "GET"
    if "//" in path or "/." in path:
        clean = posixpath.normpath("/" + path.lstrip("/"))
        if path.endswith("/") and clean != "/":
            clean += "/"
        if clean != path:
            suffix = "?" + query.decode("latin-1") if query else ""
            return wire.redirect(307, clean + suffix, with_body=with_body)
    if path.endswith("/") and path != "/":
        return wire.redirect(301, path.rstrip("/"), with_body=with_body)
    return None


def _below(path: str, prefix: str) -> str | None:
    if path == prefix:
        return ""
    return path[len(prefix) + 1 :] if path.startswith(prefix + "/") else None


def _overlap(path: str, root: str) -> bool:
    return not root or path == root or path.startswith(root + "/") or root.startswith(path + "/")


def _text(headers: dict[bytes, bytes], name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1")


def _address(client: tuple[str, int] | None) -> str | None:
    if client is None:
        return None
    host, port = client
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _send(answer: Answer, send: Send) -> None:
    headers = answer.headers
    if answer.status != 204:
        headers = (*headers, (b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
