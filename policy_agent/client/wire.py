"""HTTP/1.1 as the client and the agent speak it.

Pure. `http.client` would take longer to import than the rest of the client together, and half of
the time of each call; one server with one kind of answer needs little of it.
"""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False  # importing typing costs a cold start 3 ms
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

ADDRESS_VARIABLE = "POLICY_AGENT_ADDR"
DEFAULT_ADDRESS = "127.0.0.1:8181"
# Also how long a call during the function's own static initialisation waits for the agent.
TIMEOUT_SECONDS = 5.0
READ_BYTES = 65536
_END_OF_HEAD = b"\r\n\r\n"
_LINE_BREAKS = ("\r", "\n", "\0")


class MalformedAnswerError(Exception):
    """What came back is not an answer of the agent's."""


class Answer:
    """A whole answer.

    Attributes:
        is_last: whether the connection ends with it.
    """

    __slots__ = ("body", "is_last", "status")

    def __init__(self, status: int, body: bytes, *, is_last: bool) -> None:
        self.status = status
        self.body = body
        self.is_last = is_last

    def json(self) -> Any:
        """Return the body read as JSON, None when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class Reader:
    """Puts one answer together from what arrives."""

    __slots__ = ("_received", "_size")

    def __init__(self) -> None:
        self._received = b""
        self._size = -1

    @property
    def has_begun(self) -> bool:
        """Whether anything has arrived."""
        return bool(self._received)

    def feed(self, data: bytes) -> Answer | None:
        """Take what has arrived, b"" for the end of the stream; return the answer once it is whole.

        Raises:
            MalformedAnswerError: it is none, or the stream ended before it was whole.
        """
        if not data:
            raise MalformedAnswerError("the connection was closed before the answer was whole")
        received = self._received = self._received + data
        if self._size < 0:
            end = received.find(_END_OF_HEAD)
            if end < 0:
                return None
            self._size = end + len(_END_OF_HEAD) + _length(received[:end])
        if len(received) < self._size:
            return None
        head, _, body = received[: self._size].partition(_END_OF_HEAD)
        is_last = b"\r\nconnection: close" in head.lower() or not head.startswith(b"HTTP/1.1")
        return Answer(int(head[9:12]), body, is_last=is_last)


def _length(head: bytes) -> int:
    if not (head.startswith(b"HTTP/1.") and head[8:9] == b" " and head[9:12].isdigit()):
        raise MalformedAnswerError("not an HTTP answer")
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            return int(value)
    if head[9:12] == b"204":
        return 0
    raise MalformedAnswerError("an HTTP answer without a length")


def address() -> tuple[str, int]:
    """Return where the agent is: host and port.

    Raises:
        ValueError: the variable is no `host:port`.
    """
    text = os.environ.get(ADDRESS_VARIABLE) or DEFAULT_ADDRESS
    host, _, port = text.rpartition(":")
    return host.strip("[]") or "127.0.0.1", int(port)


def request(path: str, body: Any, headers: Mapping[str, str]) -> bytes:
    """Return a POST request.

    Raises:
        ValueError: a header's value holds a line break, or the body is no JSON.
        TypeError: the body is no JSON.
    """
    content = json.dumps(body, separators=(",", ":"), allow_nan=False).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    for name, value in headers.items():
        if any(mark in value for mark in _LINE_BREAKS):
            raise ValueError(f"the header {name} must be one line")
        lines.append(f"{name}: {value}")
    lines.append(f"Content-Length: {len(content)}\r\n\r\n")
    return "\r\n".join(lines).encode("latin-1") + content
