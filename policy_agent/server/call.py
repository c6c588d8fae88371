"""One request, read completely before anything answers it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from policy_agent.model import UNDEFINED
from policy_agent.server.request import Parameters, too_large
from policy_agent.trace_context import read_trace

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


@dataclass(slots=True)
class Call:
    """One request, read completely.

    Attributes:
        path: as sent, escapes kept.
        below: what of the path follows its route's, without the slash between.
        body: inflated where it was sent as gzip.
        parsed: the body as authorization has seen it, UNDEFINED where it has not.
        client: `ip:port`, None where there is none.
        started_ns: `time.perf_counter_ns()` when the request arrived.
        refusal: why no policy may decide now, "" when one may.
    """

    method: str
    path: str
    below: str
    parameters: Parameters
    headers: dict[bytes, bytes]
    body: bytes
    client: str | None
    started_ns: int
    refusal: str = ""
    parsed: Any = UNDEFINED

    def header(self, name: bytes) -> str:
        """Return a header's value, "" without one.

        Args:
            name: in lower case.
        """
        return text_of(self.headers, name)

    @property
    def trace(self) -> dict[str, str]:
        """Return the trace that the request belongs to, {} when it says none."""
        return read_trace(self.header(b"traceparent"), self.header(b"x-amzn-trace-id"))


class ClientGoneError(Exception):
    """The caller hung up before the request was complete; there is nobody to answer."""


async def read_body(receive: Receive, limit: int) -> bytes:
    """Return the whole body.

    Raises:
        RequestError: it is larger than `limit` bytes.
        ClientGoneError: it never came.
    """
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
            raise too_large(limit)
        more = message.get("more_body", False)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def text_of(headers: dict[bytes, bytes], name: bytes) -> str:
    """Return a header's value, "" without one."""
    return headers.get(name, b"").decode("latin-1")


def address_of(client: tuple[str, int] | None) -> str | None:
    """Return where a caller is, as OPA writes it: `ip:port`."""
    if client is None:
        return None
    host, port = client
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
