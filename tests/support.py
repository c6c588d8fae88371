"""Real servers and small stand-ins that several test folders share."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import shutil
import ssl
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from os import environ
from typing import Any

import pytest

from policy_agent.model import UNDEFINED

WAIT_SECONDS = 20
OPA = environ.get("OPA_BIN") or shutil.which("opa")
needs_opa = [
    pytest.mark.opa,
    pytest.mark.skipif(OPA is None, reason="no opa: set OPA_BIN or put it on the PATH"),
]


class TableEvaluator:
    """An engine whose documents are a dict of path -> value, or function of the input."""

    def __init__(self, documents: dict[str, Any]) -> None:
        self.documents = documents
        self.rules = frozenset(documents)
        self.closed = False
        self.changes = False

    def evaluate(self, path, input=UNDEFINED, *, strict=False, is_exact=False, evidence=None):
        key = path if isinstance(path, str) else "/".join(map(str, path))
        document = self.documents.get(key, UNDEFINED)
        return document(input) if callable(document) else document

    def query(self, text, input=UNDEFINED):
        raise NotImplementedError(text)

    def is_repeatable(self, path):
        return not self.changes

    def close(self) -> None:
        self.closed = True


@contextlib.contextmanager
def http_server(
    handle: Callable[[BaseHTTPRequestHandler, bytes], None], tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """Serve every request with `handle(request, body)` on a real socket; yields the base URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            handle(self, self.rfile.read(length))

        do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: Any) -> None:
            pass  # clients of these tests hang up on purpose

    server = Server(("127.0.0.1", 0), Handler)
    scheme, host = "http", "127.0.0.1"
    if tls is not None:
        scheme, host = "https", "localhost"
        server.socket = tls.wrap_socket(server.socket, True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"{scheme}://{host}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def reply(request: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    """Send one whole answer; `Content_Type=` becomes `Content-Type:`."""
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


def make_bundle(files: dict[str, str], *, revision: str, roots: tuple[str, ...] = ("",)) -> bytes:
    """Return a bundle archive of `files` with a manifest."""
    manifest = json.dumps({"revision": revision, "roots": list(roots)})
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in {**files, ".manifest": manifest}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


class ControlPlane:
    """What `control_plane` serves and received.

    Attributes:
        bundles: name -> archive; served at /bundles/<name> with an ETag.
        log_status: what `POST /logs` answers; None hangs until the test ends.
        events: every event of every batch that was answered with 200.
        statuses: what was posted to /status.
        etags: the If-None-Match header of each bundle request.
    """

    def __init__(self) -> None:
        self.url = ""
        self.bundles: dict[str, bytes] = {}
        self.log_status: int | None = 200
        self.events: list[dict[str, Any]] = []
        self.batches = 0
        self.statuses: list[dict[str, Any]] = []
        self.etags: list[str | None] = []
        self.closing = threading.Event()

    @property
    def ids(self) -> list[str]:
        """The decision ids received, in order, repetitions included."""
        return [event["decision_id"] for event in self.decisions]

    @property
    def decisions(self) -> list[dict[str, Any]]:
        """The events received but for those that end streams."""
        return [event for event in self.events if not is_closing(event)]

    @property
    def closings(self) -> list[dict[str, Any]]:
        """`custom.audit` of the records that end streams."""
        return [event["custom"]["audit"] for event in self.events if is_closing(event)]

    def handle(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        if request.path == "/logs":
            self._take(request, body)
            return
        if request.path == "/status":
            self.statuses.append(json.loads(body))
            reply(request, 200)
            return
        archive = self.bundles.get(request.path.removeprefix("/bundles/"))
        if archive is None:
            reply(request, 404, b"{}")
            return
        etag = f'"{hashlib.sha256(archive).hexdigest()}"'
        self.etags.append(request.headers["If-None-Match"])
        if self.etags[-1] == etag:
            reply(request, 304, ETag=etag)
        else:
            reply(request, 200, archive, ETag=etag, Content_Type="application/gzip")

    def _take(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        if self.log_status is None:
            self.closing.wait(30)
            return
        self.batches += 1
        if self.log_status == 200:
            self.events += json.loads(gzip.decompress(body))
        reply(request, self.log_status, b"{}")


@contextlib.contextmanager
def control_plane() -> Iterator[ControlPlane]:
    """Serve bundles and take decision logs on a real socket."""
    plane = ControlPlane()
    with http_server(plane.handle) as url:
        plane.url = url
        try:
            yield plane
        finally:
            plane.closing.set()


def is_closing(event: dict[str, Any]) -> bool:
    """Tell whether a log event is no decision, but the end of an agent's stream."""
    return bool(event.get("custom", {}).get("audit", {}).get("closing"))


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds, within a bound that no healthy test reaches."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
