"""The ASGI application: reads requests, finds their route, writes answers.

A plain ASGI callable rather than a framework's: a handful of fixed routes need no router, and the
decision path is what this project is for (docs/decisions.md). Handlers run on the event loop;
evaluation is synchronous and short.
"""

from __future__ import annotations

import logging
import posixpath
import time
from collections.abc import Sequence
from typing import Final

from policy_agent.errors import KeysNeededError, PolicyAgentError
from policy_agent.server import port_token, wire
from policy_agent.server import request as reading
from policy_agent.server.access import PEER_KEY, Access, Credentials, parse_body
from policy_agent.server.call import (
    Call,
    ClientGoneError,
    Receive,
    Scope,
    Send,
    address_of,
    read_body,
    text_of,
)
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


class App:
    """Serves every route with the services it is given."""

    def __init__(self, services: Services, routes: Sequence[Route] = ROUTES) -> None:
        self._services = services
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        started_ns = time.perf_counter_ns()
        method = scope["method"]
        path = scope["raw_path"].decode("latin-1")
        headers = dict(scope["headers"])
        limits = self._services.limits
        if (refused := self._refused(path, headers)) is not None:
            await _send(refused, send)
            return
        route, below = find_route(self._routes, path) or (None, "")
        try:
            access = self._services.access
            answer = _moved(method, path, scope, route)
            if answer is None and (route is not None or access is not None):
                call = await self._read(scope, receive, below, headers, started_ns)
                if access is not None:
                    answer = self._unauthorized(call, scope, route, access)
                if answer is None and route is not None:
                    answer = await self._answer(route, call)
        except ClientGoneError:
            return
        except PolicyAgentError as exc:
            answer = wire.answer_of_error(exc)
        except Exception:
            log.exception("A request failed unexpectedly")
            answer = wire.error_answer(500, "internal_error", "internal error; see the agent's log")
        answer = answer or wire.not_found()
        if path.startswith(_COMPRESSED.get(method, ())):
            answer = wire.compress(answer, text_of(headers, b"accept-encoding"), limits)
        await _send(answer, send)
        if route is not None and (label := route.label_of(method)):
            seconds = (time.perf_counter_ns() - started_ns) / 1e9
            self._services.meter.observe(label, method, answer.status, seconds)

    async def _read(
        self,
        scope: Scope,
        receive: Receive,
        below: str,
        headers: dict[bytes, bytes],
        started_ns: int,
    ) -> Call:
        limits = self._services.limits
        body = await read_body(receive, limits.max_request_bytes)
        return Call(
            method=scope["method"],
            path=scope["raw_path"].decode("latin-1"),
            below=below,
            parameters=reading.parse_parameters(scope["query_string"]),
            headers=headers,
            body=reading.inflate(body, text_of(headers, b"content-encoding"), limits),
            client=address_of(scope["client"]),
            started_ns=started_ns,
        )

    def _unauthorized(
        self, call: Call, scope: Scope, route: Route | None, access: Access
    ) -> Answer | None:
        """Return the answer to a call that may not be made, None when it may."""
        if call.method == "HEAD":
            return wire.method_not_allowed()
        if call.method == "POST" and route is not None and "POST" in route.handlers:
            call.parsed = parse_body(call.body, call.header(b"content-type"))
        credentials = Credentials(scope["headers"], scope.get(PEER_KEY))
        return access.refusal(call, credentials)

    async def _answer(self, route: Route, call: Call) -> Answer:
        freshness = self._services.freshness
        if route.decides and freshness.is_stale():
            call.refusal = await freshness.freshen()
        while True:
            try:
                return await route.answer(call, self._services)
            except KeysNeededError as exc:
                await self._services.decisions.fetch_keys(exc)

    def _refused(self, path: str, headers: dict[bytes, bytes]) -> Answer | None:
        token = self._services.port_token
        if token is not None and not token.admits(path, headers):
            return wire.error_answer(401, "unauthorized", port_token.MESSAGE)
        announced = headers.get(b"content-length", b"0")
        limit = self._services.limits.max_request_bytes
        if announced.isdigit() and int(announced) > limit:
            return wire.answer_of_error(reading.too_large(limit, int(announced)))
        return None


def _moved(method: str, path: str, scope: Scope, route: Route | None) -> Answer | None:
    with_body = method == "GET"
    if "//" in path or "/." in path:
        clean = posixpath.normpath("/" + path.lstrip("/"))
        if path.endswith("/") and clean != "/":
            clean += "/"
        if clean != path:
            query = scope["query_string"].decode("latin-1")
            suffix = "?" + query if query else ""
            return wire.redirect(307, clean + suffix, with_body=with_body)
    if path.endswith("/") and route is not None and route.leaves_trailing_slash(method):
        return wire.redirect(301, path.rstrip("/"), with_body=with_body)
    return None


async def _send(answer: Answer, send: Send) -> None:
    headers = answer.headers
    if answer.status != 204:
        headers = (*headers, (b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
