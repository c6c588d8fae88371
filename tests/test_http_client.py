import asyncio
import socket
import threading
import time

import pytest

from policy_agent.config import Service
from policy_agent.config.credentials import Bearer
from policy_agent.errors import TransportError
from policy_agent.http_client import Limits, Request, send
from policy_agent.service import ServiceClient
from tests.support import http_server, reply


def fetch(url, *, method="GET", headers=None, body=None, timeout_seconds=5.0, max_bytes=1000):
    request = Request(method, url, headers or {}, body)
    return asyncio.run(send(request, Limits(timeout_seconds, max_bytes)))


def test_a_whole_exchange_arrives():
    seen = []

    def handle(request, body):
        seen.append((request.command, request.path, request.headers["X-A"], body))
        reply(request, 202, b"done", ETag='"1"')

    with http_server(handle) as url:
        answer = fetch(url + "/p?q=1", method="POST", headers={"X-A": "b"}, body=b"payload")
    assert seen == [("POST", "/p?q=1", "b", b"payload")]
    assert (answer.status, answer.reason, answer.body) == (202, "Accepted", b"done")
    assert answer.headers["etag"] == '"1"'


def test_credentials_do_not_follow_a_redirect_to_another_host():
    seen = []

    def target(request, body):
        seen.append(request.headers["Authorization"])
        reply(request, 200, b"there")

    with http_server(target) as there:

        def handle(request, body):
            location = "/again" if request.path == "/" else there.replace("127.0.0.1", "localhost")
            seen.append(request.headers["Authorization"])
            reply(request, 307, Location=location)

        with http_server(handle) as url:
            answer = fetch(url + "/", headers={"Authorization": "Bearer t"})
    assert answer.body == b"there"
    assert seen == ["Bearer t", "Bearer t", None]


def test_a_redirect_loop_ends():
    with (
        http_server(lambda request, body: reply(request, 302, Location="/x")) as url,
        pytest.raises(TransportError, match="10 redirects"),
    ):
        fetch(url)


def test_a_body_over_the_limit_is_refused():
    with (
        http_server(lambda request, body: reply(request, 200, b"x" * 1001)) as url,
        pytest.raises(TransportError, match="larger than 1000 bytes"),
    ):
        fetch(url)


def test_a_cut_body_is_refused():
    def handle(request, body):
        request.send_response(200)
        request.send_header("Content-Length", "10")
        request.end_headers()
        request.wfile.write(b"12345")
        request.close_connection = True

    with http_server(handle) as url, pytest.raises(TransportError, match="cut off"):
        fetch(url)


@pytest.mark.parametrize("trickle", [False, True], ids=["silent", "dripping"])
def test_the_timeout_covers_the_whole_exchange(trickle):
    released = threading.Event()

    def handle(request, body):
        request.send_response(200)
        request.send_header("Content-Length", "1000")
        request.end_headers()
        while not released.wait(0.02):
            if trickle:
                request.wfile.write(b"x")
        request.close_connection = True

    started = time.monotonic()
    with http_server(handle) as url:
        with pytest.raises(TransportError, match="did not answer within"):
            fetch(url, timeout_seconds=0.3)
        released.set()
    assert time.monotonic() - started < 3


def test_a_refused_connection_is_told_without_a_traceback_of_the_url():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(TransportError, match=f"127.0.0.1:{port}: connection refused"):
        fetch(f"http://user:secret@127.0.0.1:{port}/")


def test_an_url_of_another_scheme_is_refused():
    with pytest.raises(TransportError, match="not an http or https URL"):
        fetch("file:///etc/passwd")


def test_a_proxy_is_used_unless_the_host_is_exempt_or_local(monkeypatch):
    seen = []

    def handle(request, body):
        seen.append(request.path)
        reply(request, 200)

    with http_server(handle) as url:
        monkeypatch.setenv("http_proxy", url)
        fetch("http://origin.invalid/a")
        fetch(url + "/local")
        monkeypatch.setenv("NO_PROXY", "origin.invalid")
        with pytest.raises(TransportError, match=r"^origin\.invalid: "):
            fetch("http://origin.invalid/b")
    assert seen == ["http://origin.invalid/a", "/local"]


def test_a_service_adds_its_headers_and_reads_its_token_each_time(tmp_path):
    seen = []

    def handle(request, body):
        seen.append((request.path, request.headers["Authorization"], request.headers["X-A"]))
        reply(request, 200)

    token = tmp_path / "token"
    with http_server(handle) as url:
        credentials = Bearer(token_path=str(token))
        service = Service("s", url + "/v1", headers={"X-A": "b"}, credentials=credentials)
        client = ServiceClient(service)
        for text in ("one", "two\n"):
            token.write_text(text)
            asyncio.run(client.request("GET", "/bundles/x"))
        token.unlink()
        with pytest.raises(TransportError, match=r"services.s.credentials.bearer.token_path"):
            asyncio.run(client.request("GET", "/bundles/x"))
    assert seen == [("/v1/bundles/x", f"Bearer {t}", "b") for t in ("one", "two")]
