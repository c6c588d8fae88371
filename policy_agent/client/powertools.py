"""Decide before a route of Powertools for AWS Lambda's event handler runs.

    app = APIGatewayHttpResolver()
    app.use(middlewares=[authorization("orders/authz/decision")])

Imports nothing of Powertools: a middleware there is a function of the resolver and the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from policy_agent.client import events
from policy_agent.client.decisions import AgentUnavailableError, DeniedError, decide
from policy_agent.client.obligations import enforce

if TYPE_CHECKING:
    from policy_agent.client.decisions import Obligation

Middleware = Callable[[Any, Callable[[Any], Any]], Any]


def authorization(
    path: str,
    *,
    input_of: Callable[[Mapping[str, Any]], Mapping[str, Any]] = events.input_of,
    handlers: Mapping[str, Callable[[Obligation, Any], Any]] | None = None,
    before: Mapping[str, Callable[[Obligation], object]] | None = None,
    pass_token: bool = False,
) -> Middleware:
    """Return a middleware that lets a request through only if a decision allows it.

    A denial is answered with 403, an agent that cannot be reached with 503. The decision is in the
    resolver's context under `decision`.

    Args:
        path: the document below `data`.
        input_of: raw event -> input.
        handlers: obligation type -> function of the obligation and what the route returned.
        before: obligation type -> function of the obligation.
        pass_token: whether to give the agent the caller's bearer token to verify.
    """

    def middleware(app: Any, next_middleware: Callable[[Any], Any]) -> Any:
        response: Any = None

        def act() -> Any:
            nonlocal response
            response = next_middleware(app)
            return response.body

        event = app.current_event.raw_event
        token = events.token_of(event) if pass_token else ""
        try:
            decision = decide(path, input_of(event), token=token)
            app.append_context(decision=decision)
            body = enforce(decision, handlers or {}, act, before=before)
        except DeniedError as exc:
            return {"message": "forbidden", "reasons": list(exc.reasons)}, 403
        except AgentUnavailableError:
            return {"message": "authorization is unavailable"}, 503
        response.body = body
        return response

    return middleware
