"""HTTP/1.1 on one connection: bytes in, requests out, answers back in the order of the requests.

Our own rather than an ASGI server's, because this is the decision path: a quarter of the time of a
decision went into tasks, events and messages between server and application (docs/decisions.md).
Parsing is httptools' (llhttp). What has not been read yet and what cannot be written yet are both
bounded: reading stops while answers are owed or the client does not take them.

Sources: RFC 9112; where it leaves a choice, Go's net/http, as OPA has it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final, Protocol, cast

import httptools
from msgspec import Struct

from policy_agent.server.wire import Answer

log = logging.getLogger(__name__)

MAX_HEAD_BYTES: Final = 1 << 20  # Go's DefaultMaxHeaderBytes
HEAD_SECONDS: Final = 32.0  # OPA's ReadHeaderTimeout
MAX_OWED: Final = 64  # answers to requests that came before the first one was answered
LINGER_SECONDS: Final = 0.5  # Go's rstAvoidanceDelay
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_BAD_REQUEST: Final = Answer(
    400, b"400 Bad Request", ((b"content-type", b"text/plain; charset=utf-8"),)
)
_HEAD_TOO_LARGE: Final = Answer(
    431,
    b"431 Request Header Fields Too Large",
    ((b"content-type", b"text/plain; charset=utf-8"),),
)
_BODILESS: Final = frozenset((204, 304))
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun",
                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")  # fmt: skip
_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}


class Request(Struct):
    """One request, read completely.

    Attributes:
        target: path and query as sent.
        headers: names in lower case, in order, repetitions included.
        client: `ip:port`, None where there is none.
        scheme: `http` or `https`.
        peer: tells who a TLS client is by its certificate; None when it has shown none.
    """

    method: str
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    client: str | None
    scheme: str = "http"
    peer: Callable[[], Any] | None = None


class Application(Protocol):
    """What answers requests."""

    max_body_bytes: int

    def respond(self, request: Request) -> Answer | Coroutine[Any, Any, Answer]:
        """Answer at once, or return a coroutine that does; neither raises."""

    def too_large(self, announced: int | None) -> Answer:
        """Answer a request whose body is over the limit and was not read.

        Args:
            announced: its Content-Length, None when it has none.
        """


class Connections:
    """The connections that are open."""

    def __init__(self) -> None:
        self._open: set[HttpProtocol] = set()
        self._all_closed = asyncio.Event()
        self._beginning: dict[HttpProtocol, tuple[object, float]] = {}

    def add(self, connection: HttpProtocol) -> None:
        """Note one that has opened."""
        self._open.add(connection)

    def discard(self, connection: HttpProtocol) -> None:
        """Note that one has closed."""
        self._open.discard(connection)
        if not self._open:
            self._all_closed.set()

    def close_overdue(self, now_seconds: float) -> None:
        """Close each connection whose request has been beginning for too long.

        Whoever sends a head byte by byte would keep a connection for ever. One that is idle between
        two requests may stay so.

        Args:
            now_seconds: of a clock that only goes forward; call this every few seconds.
        """
        beginning = {each: each.head for each in self._open if each.head is not None}
        for connection, head in beginning.items():
            seen, since_seconds = self._beginning.get(connection, (None, now_seconds))
            if seen is not head:
                since_seconds = now_seconds
            elif now_seconds - since_seconds >= HEAD_SECONDS:
                connection.abort()
            self._beginning[connection] = (head, since_seconds)
        for connection in self._beginning.keys() - beginning.keys():
            del self._beginning[connection]

    async def drain(self, timeout_seconds: float) -> None:
        """Close each connection once what it was asked is answered, or when the time is up."""
        self._all_closed.clear()
        for connection in list(self._open):
            connection.shut_down()
        if self._open:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._all_closed.wait(), timeout_seconds)
        for connection in list(self._open):
            connection.abort()


class HttpProtocol(asyncio.Protocol):
    """One connection.

    Args:
        app: answers the requests.
        connections: where it is noted while it is open.
        identify: a TLS client's certificate in DER -> who that is.
    """

    def __init__(
        self,
        app: Application,
        connections: Connections,
        identify: Callable[[bytes], Any] | None = None,
    ) -> None:
        self._app = app
        self._connections = connections
        self._identify = identify
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._client: str | None = None
        self._scheme = "http"
        self._peer: Callable[[], Any] | None = None
        # The request being read.
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._is_in_head = True
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._is_reading = False
        # Requests read but not answered yet, each with whether the connection goes on after it.
        self._owed: deque[tuple[Request, bool]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._is_write_paused = False
        # Nothing more is read; and: the connection ends once all that was asked is answered.
        self._is_deaf = False
        self._is_ending = False

    @property
    def head(self) -> object | None:
        """Which request's head is being waited for, an object of its own; None for none."""
        return self._headers if self._is_in_head else None

    def shut_down(self) -> None:
        """Close once what has been asked is answered, and what is being asked."""
        self._is_ending = True
        if self._has_answered and not self._is_reading:
            self._transport.close()

    def abort(self) -> None:
        """Close now."""
        self._transport.abort()

    # The transport tells of the connection.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        # uvloop's transports are not subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)
        name = transport.get_extra_info("peername")
        if isinstance(name, tuple):
            host, port = name[:2]
            self._client = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self._scheme = "https"
        certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        if certificate and self._identify is not None:
            self._peer = functools.partial(self._identify, certificate)

    def connection_lost(self, exc: Exception | None) -> None:
        """End; what is being answered is answered to nobody."""
        self._connections.discard(self)
        self._owed.clear()
        self._is_deaf = True
        # They refer to each other: clients that come and go would make work for the collector,
        # which stops everything to walk all that exists.
        del self._parser

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._is_deaf:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Nothing but HTTP/1.1 is spoken here; the request itself has been taken.
            self._end()
        except httptools.HttpParserError:
            self._refuse(_BAD_REQUEST)
        if self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(_HEAD_TOO_LARGE)

    def eof_received(self) -> bool:
        """Answer what has been asked, then close."""
        self._end()
        return not self._has_answered

    def pause_writing(self) -> None:
        """Stop reading as long as the client does not take its answers."""
        self._is_write_paused = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        self._is_write_paused = False
        self._answer_owed()

    # The parser tells of the request.

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._target = b""
        self._headers = []
        self._head_bytes = 0
        self._body = []
        self._body_bytes = 0
        self._is_reading = self._is_in_head = True

    def on_url(self, url: bytes) -> None:
        """Take a part of the target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; what comes after the body is no header and asked for by nobody."""
        if self._is_in_head:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Look at what is announced before the body comes."""
        self._is_in_head = False
        is_waiting = False
        for name, value in self._headers:
            if name == b"content-length" and int(value) > self._app.max_body_bytes:
                self._refuse(self._app.too_large(int(value)))
                return
            if name == b"expect" and value.lower() == b"100-continue":
                is_waiting = True
        if is_waiting and self._may_answer:
            self._transport.write(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._body_bytes += len(body)
        if self._body_bytes <= self._app.max_body_bytes:
            self._body.append(body)
        else:
            self._refuse(self._app.too_large(None))

    def on_message_complete(self) -> None:
        """Answer the request, or queue it behind those that are not answered yet."""
        if self._is_deaf:
            return
        self._is_reading = False
        body = self._body
        request = Request(
            method=self._parser.get_method().decode("latin-1"),
            target=self._target,
            headers=self._headers,
            body=body[0] if len(body) == 1 else b"".join(body),
            client=self._client,
            scheme=self._scheme,
            peer=self._peer,
        )
        keep_alive = self._parser.should_keep_alive()
        # What follows a request that ends the connection is not looked at.
        self._is_deaf = not keep_alive
        if self._may_answer:
            self._answer(request, keep_alive=keep_alive)
            return
        self._owed.append((request, keep_alive))
        if len(self._owed) >= MAX_OWED:
            self._transport.pause_reading()

    # And the answers.

    @property
    def _has_answered(self) -> bool:
        return not self._owed and self._task is None

    @property
    def _may_answer(self) -> bool:
        return self._has_answered and not self._is_write_paused

    def _answer(self, request: Request, *, keep_alive: bool) -> None:
        answer = self._app.respond(request)
        if isinstance(answer, Answer):
            self._write(answer, request.method, keep_alive=keep_alive)
        else:
            waiting = self._answer_later(answer, request.method, keep_alive=keep_alive)
            self._task = asyncio.get_running_loop().create_task(waiting)

    async def _answer_later(
        self, answer: Coroutine[Any, Any, Answer], method: str, *, keep_alive: bool
    ) -> None:
        try:
            written = await answer
        except Exception:
            log.exception("A request failed unexpectedly")
            self._transport.abort()
            return
        finally:
            self._task = None
        self._write(written, method, keep_alive=keep_alive)
        self._answer_owed()

    def _answer_owed(self) -> None:
        while self._owed and self._task is None and not self._is_write_paused:
            request, keep_alive = self._owed.popleft()
            self._answer(request, keep_alive=keep_alive)
        if self._may_answer and not self._is_deaf and not self._transport.is_closing():
            self._transport.resume_reading()

    def _write(self, answer: Answer, method: str, *, keep_alive: bool) -> None:
        if self._transport.is_closing():
            return
        is_last = self._is_ending and not self._owed and not self._is_reading
        keep_alive = keep_alive and not is_last
        self._transport.write(_encoded(answer, method, keep_alive=keep_alive))
        if not keep_alive:
            self._is_deaf = True
            self._owed.clear()
            self._transport.close()

    def _end(self) -> None:
        """Read no more, and close once all that was asked is answered."""
        self._is_reading = self._is_in_head = False
        self._is_deaf = self._is_ending = True
        if self._has_answered:
            self._transport.close()

    def _refuse(self, answer: Answer) -> None:
        """Answer what was not read to its end, and read no more of it."""
        if self._is_deaf:
            return
        if not self._may_answer:
            # It would not be its turn; what was asked before is answered.
            self._end()
            return
        self._is_reading = self._is_in_head = False
        self._is_deaf = True
        self._transport.write(_encoded(answer, "GET", keep_alive=False))
        # Closed while the client is still sending, it would get a reset instead of the answer.
        if self._transport.can_write_eof():
            self._transport.write_eof()
        asyncio.get_running_loop().call_later(LINGER_SECONDS, self._transport.close)


def _encoded(answer: Answer, method: str, *, keep_alive: bool) -> bytes:
    status, body = answer.status, answer.body
    parts = [_STATUS_LINES[status], *(b"%b: %b\r\n" % pair for pair in answer.headers)]
    if status not in _BODILESS:
        parts.append(b"content-length: %d\r\n" % len(body))
    parts.append(_date_line())
    parts.append(b"\r\n" if keep_alive else b"connection: close\r\n\r\n")
    if method != "HEAD" and status not in _BODILESS:
        parts.append(body)
    return b"".join(parts)


_date: tuple[int, bytes] = (0, b"")


def _date_line() -> bytes:
    global _date
    now = int(time.time())
    if _date[0] != now:
        at = time.gmtime(now)
        text = (
            f"date: {_DAYS[at.tm_wday]}, {at.tm_mday:02d} {_MONTHS[at.tm_mon - 1]} {at.tm_year} "
            f"{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d} GMT\r\n"
        )
        _date = now, text.encode()
    return _date[1]
