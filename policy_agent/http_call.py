"""Send one HTTP request and read its answer, blocking: the thread's half of `http_client`.

Built on `http.client`. Redirects are followed as Go's client does it: at most ten, credentials only
to the same host; beyond that, never from https to http.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import unquote, urljoin, urlsplit

from msgspec import Struct, field

from policy_agent.errors import TransportError
from policy_agent.http_client import Limits, Received, Request, Response, host_of

MAX_REDIRECTS = 10  # Go's net/http default
READ_BYTES = 65536
_REDIRECTS = (301, 302, 303, 307, 308)
_CREDENTIAL_HEADERS = ("authorization", "cookie", "x-amz-security-token")


class Call:
    """One call; `abort` may come from another thread at any time."""

    def __init__(self, limits: Limits, tls: ssl.SSLContext | None, received: Received) -> None:
        self._deadline = time.monotonic() + limits.timeout_seconds
        self._limits = limits
        self._tls = tls
        self._received = received
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._aborted = False

    def run(self, request: Request) -> Response:
        """Send `request`, follow redirects, and return the whole answer.

        Raises:
            TransportError: as `http_client.send` says.
            TimeoutError: no time is left, or the call was aborted.
        """
        for _ in range(MAX_REDIRECTS):
            response = self._exchange(request)
            location = response.headers.get("location")
            if response.status not in _REDIRECTS or not location:
                return response
            request = _redirected(request, response.status, urljoin(request.url, location))
        msg = f"stopped after {MAX_REDIRECTS} redirects"
        raise TransportError(msg)

    def abort(self) -> None:
        """Cut the connection, if there is one, and make none any more."""
        with self._lock:
            self._aborted = True
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def _exchange(self, request: Request) -> Response:
        parts = urlsplit(request.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            msg = f"not an http or https URL: {parts.scheme}://{host_of(request.url)}"
            raise TransportError(msg)
        connection = self._connection(parts.scheme, parts.hostname, parts.port)
        target = request.url if connection.plain_proxy else _target(request.url)
        try:
            connection.http.connect()
            sock = connection.http.sock  # which `getresponse` lets go of when it is the last answer
            self._hold(sock)
            headers = {"Accept-Encoding": "identity", **connection.headers, **request.headers}
            connection.http.request(request.method, target, request.body, headers)
            answer = connection.http.getresponse()
            sock.settimeout(self._remaining())
            headers = {name.lower(): value for name, value in answer.getheaders()}
            self._received.begin(Response(answer.status, answer.reason, headers, b""))
            self._read(answer)
            return Response(answer.status, answer.reason, headers, self._received.body)
        except TimeoutError as exc:
            if self._aborted or time.monotonic() >= self._deadline:
                raise
            limit = self._limits.answer_timeout_seconds
            msg = f"{host_of(request.url)} did not answer within {limit:g} s"
            raise TransportError(msg) from exc
        except (OSError, http.client.HTTPException, ValueError) as exc:
            if self._aborted:
                raise TimeoutError from exc
            msg = f"{host_of(request.url)}: {_sentence(exc)}"
            raise TransportError(msg) from exc
        finally:
            connection.http.close()

    def _connection(self, scheme: str, host: str, port: int | None) -> _Connection:
        timeout = min(self._remaining(), self._limits.answer_timeout_seconds)
        proxy = _proxy_for(scheme, host)
        if proxy is None:
            return _Connection(self._open(scheme, host, port, timeout))
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
                self._open("http", parts.hostname, parts.port, timeout), headers, True
            )
        tunnel = self._open("https", parts.hostname, parts.port or 80, timeout)
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

    def _remaining(self) -> float:
        return max(self._deadline - time.monotonic(), 0.001)

    def _read(self, answer: http.client.HTTPResponse) -> None:
        size = 0
        # What has arrived is passed on at once: of a cut answer it can be all there is.
        while piece := answer.read1(READ_BYTES):
            size += len(piece)
            if size > self._limits.max_bytes:
                msg = f"the answer is larger than {self._limits.max_bytes} bytes"
                raise TransportError(msg)
            if time.monotonic() > self._deadline:
                raise TimeoutError
            self._received.add(piece)
        if answer.length:
            msg = f"the answer was cut off {answer.length} bytes early"
            raise TransportError(msg)


class _Connection(Struct, frozen=True):
    http: http.client.HTTPConnection
    headers: Mapping[str, str] = field(default_factory=dict)
    plain_proxy: bool = False


def _target(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _proxy_for(scheme: str, host: str) -> str | None:
    # Loopback as in Go; and what is local to a machine on AWS, such as the metadata service.
    if host == "localhost" or host.startswith(("127.", "169.254.")) or host == "::1":
        return None
    exempt = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    for name in filter(None, (entry.strip().lstrip(".") for entry in exempt.split(","))):
        if name in ("*", host) or host.endswith("." + name):
            return None
    # Go and curl ignore the upper-case HTTP_PROXY under CGI only; Lambda is not CGI.
    name = f"{scheme}_proxy"
    return os.environ.get(name) or os.environ.get(name.upper()) or None


def _redirected(request: Request, status: int, url: str) -> Request:
    if request.url.startswith("https:") and not url.startswith("https:"):
        msg = f"{host_of(request.url)}: redirected from https to {host_of(url)} without TLS"
        raise TransportError(msg)
    headers = dict(request.headers)
    if host_of(url) != host_of(request.url):
        headers = {k: v for k, v in headers.items() if k.lower() not in _CREDENTIAL_HEADERS}
    if status in (307, 308) or request.method in ("GET", "HEAD"):
        return Request(request.method, url, headers, request.body)
    return Request("GET", url, headers)


def _sentence(exc: Exception) -> str:
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {exc.verify_message}"
    if isinstance(exc, ssl.SSLEOFError):
        return "closed the connection within TLS: does it want a client certificate?"
    if isinstance(exc, ssl.SSLError):
        return f"TLS failed: {(exc.reason or type(exc).__name__).lower().replace('_', ' ')}"
    if isinstance(exc, http.client.IncompleteRead):
        return "the answer was cut off"
    if isinstance(exc, http.client.RemoteDisconnected):
        return "closed the connection without an answer"
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror.lower()
    return str(exc) or type(exc).__name__
