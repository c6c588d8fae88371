"""Decide before a function runs: `@authorize`."""

from __future__ import annotations

import functools

from policy_agent.client.decisions import decide
from policy_agent.client.obligations import enforce

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, ParamSpec, TypeVar

    from policy_agent.client.decisions import Obligation

    P = ParamSpec("P")
    R = TypeVar("R")

# CO_COROUTINE; inspect.iscoroutinefunction would cost a cold start 7 ms.
_COROUTINE_FLAG = 0x80


def authorize(
    path: str,
    *,
    token: str | Callable[..., str] = "",
    handlers: Mapping[str, Callable[[Obligation, Any], Any]] | None = None,
    before: Mapping[str, Callable[[Obligation], object]] | None = None,
    **input: Any,  # noqa: A002
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Call the decorated function only if the decision at `path` allows it.

        @authorize(
            "orders/authz/decision",
            action="orders:read",
            resource=lambda event, context: {"id": event["pathParameters"]["id"]},
            handlers={"mask_fields": mask_fields},
        )
        def read_order(event, context): ...

    Args:
        path: the document below `data`.
        token: the caller's token, or a function of the decorated function's arguments.
        handlers: obligation type -> function of the obligation and the outcome.
        before: obligation type -> function of the obligation, called first.
        input: the members of the input; a callable is called with the function's arguments.

    Returns:
        A decorator of functions, or of coroutine functions, which then ask without blocking. The
        function raises DeniedError or AgentUnavailableError instead of running.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        def question(*args: P.args, **kwargs: P.kwargs) -> tuple[dict[str, Any], str]:
            values = {
                name: value(*args, **kwargs) if callable(value) else value
                for name, value in input.items()
            }
            return values, token(*args, **kwargs) if callable(token) else token

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            values, credential = question(*args, **kwargs)
            decision = decide(path, values, token=credential)
            act = functools.partial(function, *args, **kwargs)
            outcome: R = enforce(decision, handlers or {}, act, before=before)
            return outcome

        @functools.wraps(function)
        async def call_async(*args: P.args, **kwargs: P.kwargs) -> Any:
            from policy_agent.client import aio  # asyncio, which synchronous functions do not need

            values, credential = question(*args, **kwargs)
            decision = await aio.decide(path, values, token=credential)
            act: Any = functools.partial(function, *args, **kwargs)
            return await aio.enforce(decision, handlers or {}, act, before=before)

        code = getattr(function, "__code__", None)
        if code is not None and code.co_flags & _COROUTINE_FLAG:
            return call_async  # type: ignore[return-value]
        return call

    return decorate
