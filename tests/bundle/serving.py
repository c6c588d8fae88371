"""A bundle server over real sockets that can also misbehave."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from tests.support import http_server, reply


@dataclass
class Answer:
    """What the server says to one path; `etag` None sends none and never answers 304."""

    body: bytes = b""
    etag: str | None = None
    status: int = 200
    fault: str = ""  # "hang": no answer until the server ends; "cut": half of the body


@dataclass
class BundleServer:
    url: str = ""
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def handle(self, request: BaseHTTPRequestHandler, _: bytes) -> None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append((request.path, headers))
        answer = self.answers.get(request.path, Answer(status=404))
        if answer.fault == "hang":
            self.ended.wait(30)
            request.close_connection = True
        elif answer.fault == "cut":
            request.send_response(200)
            request.send_header("Content-Length", str(len(answer.body)))
            request.end_headers()
            request.wfile.write(answer.body[: len(answer.body) // 2])
            request.close_connection = True
        elif answer.etag and headers.get("if-none-match") == answer.etag:
            reply(request, 304, ETag=answer.etag)
        else:
            etag = {"ETag": answer.etag} if answer.etag else {}
            reply(request, answer.status, answer.body, **etag)

    def sent_etags(self, path: str) -> list[str | None]:
        return [headers.get("if-none-match") for at, headers in self.requests if at == path]


@contextlib.contextmanager
def bundle_server(**answers: Answer) -> Iterator[BundleServer]:
    """Serve `/bundles/<name>` for each named answer."""
    server = BundleServer()
    server.answers = {f"/bundles/{name}": answer for name, answer in answers.items()}
    with http_server(server.handle) as url:
        server.url = url
        try:
            yield server
        finally:
            server.ended.set()
