"""The application: finds a request's route, has it answered, and writes errors.

Not a framework's: a handful of fixed routes need no router, and the decision path is what this
project is for (docs/decisions.md). What need not wait is answered at once, on the event loop;
evaluation is synchronous and short.
"""

from __future__ import annotations

import logging
import posixpath
import time
from collections.abc import Coroutine, Sequence
from typing import Any, Final

import httptools

from policy_agent.errors import (
    DecisionLogError,
    KeysNeededError,
    PolicyAgentError,
    SpoolFullError,
)
from policy_agent.server import port_token, wire
from policy_agent.server import request as reading
from policy_agent.server.access import Access, Credentials, parse_body
from policy_agent.server.call import Call, text_of
from policy_agent.server.protocol import Request
from policy_agent.server.routes import ROUTES
from policy_agent.server.routing import Route, find_route
from policy_agent.server.services import Services
from policy_agent.server.wire import Answer

log = logging.getLogger(__name__)

# Method -> how paths begin whose answers are gzipped for who accepts it; no more than that, as in
# OPA: `/v1/datax` is one of them.
_COMPRESSED: Final = {
    "GET": ("/v1/data", "/v0/data"),
    "POST": ("/v1/data", "/v0/data", "/v1/compile"),
}
_UNEXPECTED = wire.error_answer(500, "internal_error", "internal error; see the agent's log")
Answering = Answer | Coroutine[Any, Any, Answer]


class App:
    """Serves every route with the services it is given."""

    def __init__(self, services: Services, routes: Sequence[Route] = ROUTES) -> None:
        self._routes = routes
        self.use(services)

    def use(self, services: Services) -> None:
        """Serve with other services from the next request on."""
        self._services = services
        self.max_body_bytes = services.limits.max_request_bytes

    def respond(self, request: Request) -> Answering:
        """Answer a request at once, or return a coroutine that does."""
        started_ns = time.perf_counter_ns()
        path, query = _split(request.target)
        route, below = find_route(self._routes, path) or (None, "")
        call = Call(
            method=request.method,
            path=path,
            below=below,
            query=query,
            headers=dict(request.headers),
            body=request.body,
            client=request.client,
            started_ns=started_ns,
            scheme=request.scheme,
        )
        try:
            answer = self._answer(call, route, request)
        except SpoolFullError as exc:
            answer = self._answer_with_room(call, route, exc)
        except PolicyAgentError as exc:
            answer = wire.answer_of_error(exc)
        except Exception:
            log.exception("A request failed unexpectedly")
            answer = _UNEXPECTED
        if isinstance(answer, Answer):
            return self._finished(answer, call, route)
        return self._finish(answer, call, route)

    def too_large(self, announced: int | None) -> Answer:
        """Answer a request whose body is over the limit and was not read."""
        return wire.answer_of_error(reading.too_large(self.max_body_bytes, announced))

    def _answer(self, call: Call, route: Route | None, request: Request) -> Answering:
        token = self._services.port_token
        if token is not None and not token.admits(call.path, call.headers):
            return wire.error_answer(401, "unauthorized", port_token.MESSAGE)
        if (moved := _moved(call, route)) is not None:
            return moved
        access = self._services.access
        if route is None and access is None:
            return wire.not_found()
        if encoding := call.header(b"content-encoding"):
            call.body = reading.inflate(call.body, encoding, self._services.limits)
        if access is not None:
            refused = _unauthorized(call, route, access, Credentials(request.headers, request.peer))
            if refused is not None:
                return refused
        if route is None:
            return wire.not_found()
        if route.decides and self._services.freshness.is_stale():
            return self._answer_freshly(call, route)
        try:
            answer = route.answer(call, self._services)
        except KeysNeededError as exc:
            return self._answer_with_keys(call, route, exc)
        return answer if isinstance(answer, Answer) else self._answer_later(call, route, answer)

    async def _answer_freshly(self, call: Call, route: Route) -> Answer:
        call.refusal = await self._services.freshness.freshen()
        return await self._answer_again(call, route)

    async def _answer_later(
        self, call: Call, route: Route, answering: Coroutine[Any, Any, Answer]
    ) -> Answer:
        try:
            return await answering
        except KeysNeededError as exc:
            return await self._answer_with_keys(call, route, exc)

    async def _answer_with_keys(self, call: Call, route: Route, needed: KeysNeededError) -> Answer:
        await self._services.decisions.fetch_keys(needed)
        return await self._answer_again(call, route)

    async def _answer_again(self, call: Call, route: Route) -> Answer:
        try:
            answer = route.answer(call, self._services)
            return answer if isinstance(answer, Answer) else await answer
        except KeysNeededError as exc:
            # Of another issuer: each is asked but once, so this comes to an end.
            return await self._answer_with_keys(call, route, exc)

    async def _answer_with_room(
        self, call: Call, route: Route | None, full: SpoolFullError
    ) -> Answer:
        if route is None or not await self._services.decisions.make_room():
            raise DecisionLogError(str(full)) from full
        try:
            return await self._answer_again(call, route)
        except SpoolFullError as exc:
            raise DecisionLogError(str(exc)) from exc

    async def _finish(
        self, answering: Coroutine[Any, Any, Answer], call: Call, route: Route | None
    ) -> Answer:
        try:
            try:
                answer = await answering
            except SpoolFullError as exc:
                answer = await self._answer_with_room(call, route, exc)
        except PolicyAgentError as exc:
            answer = wire.answer_of_error(exc)
        except Exception:
            log.exception("A request failed unexpectedly")
            answer = _UNEXPECTED
        return self._finished(answer, call, route)

    def _finished(self, answer: Answer, call: Call, route: Route | None) -> Answer:
        if call.path.startswith(_COMPRESSED.get(call.method, ())):
            accepted = text_of(call.headers, b"accept-encoding")
            answer = wire.compress(answer, accepted, self._services.limits)
        if route is not None and (label := route.label_of(call.method)):
            seconds = (time.perf_counter_ns() - call.started_ns) / 1e9
            self._services.meter.observe(label, call.method, answer.status, seconds)
        return answer


def _unauthorized(
    call: Call, route: Route | None, access: Access, credentials: Credentials
) -> Answer | None:
    """Return the answer to a call that may not be made, None when it may."""
    if call.method == "HEAD":
        return wire.method_not_allowed()
    if call.method == "POST" and route is not None and "POST" in route.handlers:
        call.parsed = parse_body(call.body, call.header(b"content-type"))
    return access.refusal(call, credentials)


def _split(target: bytes) -> tuple[str, bytes]:
    """Return path and query of a request's target, which may be a whole URL."""
    if not target.startswith(b"/") or b"#" in target:
        parts = httptools.parse_url(target)
        return (parts.path or b"/").decode("latin-1"), parts.query or b""
    path, _, query = target.partition(b"?")
    return path.decode("latin-1"), query


def _moved(call: Call, route: Route | None) -> Answer | None:
    method, path = call.method, call.path
    with_body = method == "GET"
    if "//" in path or "/." in path:
        clean = posixpath.normpath("/" + path.lstrip("/"))
        if path.endswith("/") and clean != "/":
            clean += "/"
        if clean != path:
            query = call.query.decode("latin-1")
            suffix = "?" + query if query else ""
            return wire.redirect(307, clean + suffix, with_body=with_body)
    if path.endswith("/") and route is not None and route.leaves_trailing_slash(method):
        return wire.redirect(301, path.rstrip("/"), with_body=with_body)
    return None
