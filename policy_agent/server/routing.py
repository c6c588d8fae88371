"""Which handler answers a path.

Pure. What is not served answers as OPA does: its own resources with an empty 405, the others as
Go's multiplexer.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from msgspec import Struct

from policy_agent.server import wire
from policy_agent.server.call import Call
from policy_agent.server.services import Services
from policy_agent.server.wire import Answer

# What needs not wait for anything answers at once, without a coroutine.
Handler = Callable[[Call, Services], Answer | Coroutine[Any, Any, Answer]]


class Route(Struct, frozen=True):
    """One resource.

    Attributes:
        path: where it is.
        handlers: method -> what answers it.
        subtree: whether it has every path below, too.
        allow: what is told of other methods; b"" where OPA tells nothing.
        label: how metrics name it, "" where it is not counted; OPA's handler labels.
        decides: whether its answers come from policies, which must be fresh enough.
    """

    path: str
    handlers: Mapping[str, Handler]
    subtree: bool = False
    allow: bytes = b""
    label: str = ""
    decides: bool = False

    def leaves_trailing_slash(self, method: str) -> bool:
        """Tell whether a path with a slash at its end is sent on to the one without it."""
        return self.subtree and (method in self.handlers or not self.allow)

    def label_of(self, method: str) -> str:
        """Return how metrics name a call, "" where it is not counted."""
        if method in self.handlers:
            return self.label
        return "" if self.allow else "catchall"

    def answer(self, call: Call, services: Services) -> Answer | Coroutine[Any, Any, Answer]:
        """Answer a call to this resource."""
        handler = self.handlers.get(call.method)
        if handler is None:
            is_head = call.method == "HEAD" and "GET" in self.handlers
            return wire.method_not_allowed(b"" if is_head else self.allow)
        return handler(call, services)


def find_route(routes: Sequence[Route], path: str) -> tuple[Route, str] | None:
    """Return the first route of a path and what of it lies below; None for none.

    Args:
        path: as sent, escapes kept.
    """
    for route in routes:
        if not path.startswith(route.path):
            continue
        length = len(route.path)
        if len(path) == length:
            return route, ""
        if route.subtree and path[length] == "/":
            return route, path[length + 1 :]
    return None
