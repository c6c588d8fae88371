"""One request, read completely before anything answers it."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from policy_agent.model import UNDEFINED
from policy_agent.server.request import Parameters, parse_parameters
from policy_agent.trace_context import read_trace


class Call(Struct):
    """One request, read completely.

    Attributes:
        path: as sent, escapes kept.
        below: what of the path follows its route's, without the slash between.
        query: as sent, without the question mark.
        body: inflated where it was sent as gzip.
        parsed: the body as authorization has seen it, UNDEFINED where it has not.
        client: `ip:port`, None where there is none.
        started_ns: `time.perf_counter_ns()` when the request arrived.
        scheme: `http` or `https`.
        refusal: why no policy may decide now, "" when one may.
    """

    method: str
    path: str
    below: str
    query: bytes
    headers: dict[bytes, bytes]
    body: bytes
    client: str | None
    started_ns: int
    scheme: str = "http"
    refusal: str = ""
    parsed: Any = UNDEFINED

    @property
    def parameters(self) -> Parameters:
        """The parameters of the query."""
        return parse_parameters(self.query)

    def header(self, name: bytes) -> str:
        """Return a header's value, "" without one.

        Args:
            name: in lower case.
        """
        return text_of(self.headers, name)

    @property
    def trace(self) -> dict[str, str]:
        """Return the trace that the request belongs to, {} when it says none."""
        if b"traceparent" not in self.headers and b"x-amzn-trace-id" not in self.headers:
            return {}
        return read_trace(self.header(b"traceparent"), self.header(b"x-amzn-trace-id"))


def text_of(headers: dict[bytes, bytes], name: bytes) -> str:
    """Return a header's value, "" without one."""
    return headers.get(name, b"").decode("latin-1")
