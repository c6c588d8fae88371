"""Decide before a Starlette, FastAPI or other ASGI application sees a request."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from policy_agent.client import aio
from policy_agent.client.decisions import AgentUnavailableError, Decision, DeniedError
from policy_agent.client.obligations import check

if TYPE_CHECKING:
    from policy_agent.client.decisions import Obligation

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class AuthorizationMiddleware:
    """Lets a request through only if a decision allows it.

        app.add_middleware(AuthorizationMiddleware, path="http/authz/decision")

    A denial is answered with 403, an agent that cannot be reached with 503, both as JSON. The
    decision is in `scope["state"]["decision"]` (`request.state.decision`). Obligations are
    fulfilled before the application runs (`before`) or on its answer (`handlers`), which must then
    be JSON and is held back until it is complete; what neither knows denies. WebSockets that are
    denied are closed.

    Args:
        path: the document below `data`.
        input_of: scope -> input; None for `request_input`. None as its result lets a request pass
            undecided, such as a health check.
        handlers: obligation type -> function of the obligation and the answer's JSON value.
        before: obligation type -> function of the obligation.
        pass_token: whether to give the agent the caller's bearer token to verify.
    """

    def __init__(
        self,
        app: Application,
        *,
        path: str,
        input_of: Callable[[Scope], Mapping[str, Any] | None] | None = None,
        handlers: Mapping[str, Callable[[Obligation, Any], Any]] | None = None,
        before: Mapping[str, Callable[[Obligation], object]] | None = None,
        pass_token: bool = False,
    ) -> None:
        self._app = app
        self._path = path
        self._input_of = input_of or request_input
        self._handlers = handlers or {}
        self._before = before or {}
        self._pass_token = pass_token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Decide one request."""
        question = self._input_of(scope) if scope["type"] in ("http", "websocket") else None
        if question is None:
            await self._app(scope, receive, send)
            return
        token = bearer_token(scope) if self._pass_token else ""
        try:
            decision = await aio.decide(self._path, question, token=token)
            await self._run(decision, scope, receive, send)
        except DeniedError as exc:
            steps = [dict(obligation) for obligation in exc.obligations]
            body = {"message": "forbidden", "reasons": exc.reasons, "obligations": steps}
            await _refuse(scope, send, 403, body)
        except AgentUnavailableError:
            await _refuse(scope, send, 503, {"message": "authorization is unavailable"})

    async def _run(self, decision: Decision, scope: Scope, receive: Receive, send: Send) -> None:
        handlers = self._handlers if scope["type"] == "http" else {}
        check(decision, handlers, self._before)
        scope.setdefault("state", {})["decision"] = decision
        if not any(obligation["type"] in handlers for obligation in decision.obligations):

            async def pass_on() -> None:
                await self._app(scope, receive, send)

            await aio.enforce(decision, {}, pass_on, before=self._before)
            return
        held = _HeldAnswer()

        async def act() -> Any:
            await self._app(scope, receive, held.take)
            return held.value()

        value = await aio.enforce(decision, handlers, act, before=self._before)
        await held.send(value, send)


class _HeldAnswer:
    """An answer that is sent only once its obligations are fulfilled."""

    def __init__(self) -> None:
        self._start: Message = {}
        self._body = bytearray()

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body":
            self._body += message.get("body", b"")

    def value(self) -> Any:
        """Return the answer's JSON value.

        Raises:
            DeniedError: it is not JSON, so no obligation can be fulfilled on it.
        """
        try:
            return json.loads(self._body)
        except ValueError as exc:
            raise DeniedError(("obligations can be fulfilled on JSON only",)) from exc

    async def send(self, value: Any, send: Send) -> None:
        body = json.dumps(value, separators=(",", ":")).encode()
        kept = [pair for pair in self._start["headers"] if pair[0].lower() != b"content-length"]
        headers = [*kept, (b"content-length", str(len(body)).encode())]
        await send({**self._start, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def request_input(scope: Scope) -> dict[str, Any]:
    """Return `action` (method and path), `resource` and, where authentication ran, `subject`.

    `subject` has the name that Starlette's AuthenticationMiddleware found.
    """
    user: Any = scope.get("user")
    subject = {"id": user.display_name} if getattr(user, "is_authenticated", False) else {}
    return {
        "subject": subject,
        "action": f"{scope.get('method', 'GET')} {scope['path']}",
        "resource": {"path": scope["path"]},
    }


def bearer_token(scope: Scope) -> str:
    """Return the caller's bearer token, "" without one."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, token = value.decode("latin-1").partition(" ")
            return str(token.strip()) if scheme.lower() == "bearer" else ""
    return ""


async def _refuse(scope: Scope, send: Send, status: int, body: Mapping[str, Any]) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": str(body["message"])})
        return
    content = json.dumps(body).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
