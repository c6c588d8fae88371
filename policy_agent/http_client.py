"""Send one HTTP request over a connection of its own; the agent's only way to the outside.

Built on `http.client` in a worker thread: a socket never outlives a call, so none is left half
open across a freeze, and the import costs Init 1 ms of CPU beside uvicorn where httpx costs 51
(docs/decisions.md). Redirects are followed as Go's client does it: at most ten, credentials only
to the same host.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urljoin, urlsplit

from policy_agent.errors import TransportError

MAX_REDIRECTS = 10  # Go's net/http default
READ_BYTES = 65536
_REDIRECTS = (301, 302, 303, 307, 308)
_CREDENTIAL_HEADERS = ("authorization", "cookie")


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `headers` are sent as they are, `body` None means none."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer; header names are lower case."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


async def send(
    request: Request,
    *,
    timeout_seconds: float,
    max_bytes: int,
    tls: ssl.SSLContext | None = None,
) -> Response:
    """Send `request` and read the whole answer.

    Args:
        timeout_seconds: for everything together, redirects and body included.
        max_bytes: the largest body to accept.
        tls: for https; the system's trust store when None.

    Raises:
        TransportError: no connection, a cut or malformed answer, a timeout, a body that is too
            large, or a redirect that cannot be followed.
    """
    call = _Call(time.monotonic() + timeout_seconds, max_bytes, tls)
    try:
        async with asyncio.timeout(timeout_seconds):
            return await asyncio.to_thread(call.run, request)
    except TimeoutError as exc:
        msg = f"{_host(request.url)} did not answer within {timeout_seconds:g} s"
        raise TransportError(msg) from exc
    finally:
        call.abort()


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


class _Call:
    """The blocking half of one `send`; `abort` may come from another thread at any time."""

    def __init__(self, deadline: float, max_bytes: int, tls: ssl.SSLContext | None) -> None:
        self._deadline = deadline
        self._max_bytes = max_bytes
        self._tls = tls
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._aborted = False

    def run(self, request: Request) -> Response:
        for _ in range(MAX_REDIRECTS):
            response = self._exchange(request)
            location = response.headers.get("location")
            if response.status not in _REDIRECTS or not location:
                return response
            request = _redirected(request, response.status, urljoin(request.url, location))
        msg = f"stopped after {MAX_REDIRECTS} redirects"
        raise TransportError(msg)

    def abort(self) -> None:
        with self._lock:
            self._aborted = True
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def _exchange(self, request: Request) -> Response:
        parts = urlsplit(request.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            msg = f"not an http or https URL: {parts.scheme}://{_host(request.url)}"
            raise TransportError(msg)
        connection = self._connection(parts.scheme, parts.hostname, parts.port)
        target = request.url if connection.plain_proxy else _target(request.url)
        try:
            connection.http.connect()
            self._hold(connection.http.sock)
            headers = {"Accept-Encoding": "identity", **connection.headers, **request.headers}
            connection.http.request(request.method, target, request.body, headers)
            answer = connection.http.getresponse()
            body = self._read(answer)
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return Response(answer.status, answer.reason, headers, body)
        except (OSError, http.client.HTTPException, ValueError) as exc:
            if self._aborted:
                raise TimeoutError from exc
            msg = f"{_host(request.url)}: {_sentence(exc)}"
            raise TransportError(msg) from exc
        finally:
            connection.http.close()

    def _connection(self, scheme: str, host: str, port: int | None) -> _Connection:
        remaining = max(self._deadline - time.monotonic(), 0.001)
        proxy = _proxy_for(scheme, host)
        if proxy is None:
            return _Connection(self._open(scheme, host, port, remaining))
        parts = urlsplit(proxy)
        if not parts.hostname:
            msg = f"{scheme}_proxy is not a URL with a host"
            raise TransportError(msg)
        headers = {}
        if parts.username is not None:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers["Proxy-Authorization"] = "Basic " + b64encode(login.encode()).decode()
        if scheme == "http":
            return _Connection(
                self._open("http", parts.hostname, parts.port, remaining), headers, True
            )
        tunnel = self._open("https", parts.hostname, parts.port or 80, remaining)
        tunnel.set_tunnel(host, port or 443, headers)
        return _Connection(tunnel)

    def _open(
        self, scheme: str, host: str, port: int | None, timeout: float
    ) -> http.client.HTTPConnection:
        if scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=timeout)
        context = self._tls or ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=context)

    def _hold(self, sock: socket.socket) -> None:
        with self._lock:
            if self._aborted:
                raise TimeoutError
            self._socket = sock

    def _read(self, answer: http.client.HTTPResponse) -> bytes:
        chunks, size = [], 0
        while chunk := answer.read(READ_BYTES):
            size += len(chunk)
            if size > self._max_bytes:
                msg = f"the answer is larger than {self._max_bytes} bytes"
                raise TransportError(msg)
            if time.monotonic() > self._deadline:
                raise TimeoutError
            chunks.append(chunk)
        if answer.length:
            msg = f"the answer was cut off {answer.length} bytes early"
            raise TransportError(msg)
        return b"".join(chunks)


@dataclass(frozen=True, slots=True)
class _Connection:
    http: http.client.HTTPConnection
    headers: Mapping[str, str] = field(default_factory=dict)
    plain_proxy: bool = False


def _target(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _proxy_for(scheme: str, host: str) -> str | None:
    exempt = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    for name in filter(None, (entry.strip().lstrip(".") for entry in exempt.split(","))):
        if name in ("*", host) or host.endswith("." + name):
            return None
    # Go and curl ignore the upper-case HTTP_PROXY under CGI only; Lambda is not CGI.
    name = f"{scheme}_proxy"
    return os.environ.get(name) or os.environ.get(name.upper()) or None


def _redirected(request: Request, status: int, url: str) -> Request:
    headers = dict(request.headers)
    if _host(url) != _host(request.url):
        headers = {k: v for k, v in headers.items() if k.lower() not in _CREDENTIAL_HEADERS}
    if status in (307, 308) or request.method in ("GET", "HEAD"):
        return Request(request.method, url, headers, request.body)
    return Request("GET", url, headers)


def _sentence(exc: Exception) -> str:
    if isinstance(exc, http.client.IncompleteRead):
        return "the answer was cut off"
    if isinstance(exc, http.client.RemoteDisconnected):
        return "closed the connection without an answer"
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror.lower()
    return str(exc) or type(exc).__name__
