"""One conditional request: what is sent, and what each answer means."""

import asyncio
import threading

import pytest

from policy_agent.bundle.download import Downloaded, HttpOrigin, NotModified
from policy_agent.config import Service
from policy_agent.errors import BundleDownloadError
from policy_agent.service import ServiceClient
from tests.bundle.serving import Answer, bundle_server
from tests.support import http_server, reply

PATH = "/bundles/authz"


def ask(url, etag=None, *, timeout_seconds=5.0):
    origin = HttpOrigin(ServiceClient(Service("s", url)), PATH)
    return asyncio.run(origin.fetch(etag, timeout_seconds))


def test_a_bundle_and_its_etag_are_returned():
    with bundle_server(authz=Answer(b"bytes", '"e1"')) as server:
        assert ask(server.url) == Downloaded(b"bytes", '"e1"')
    headers = server.requests[0][1]
    assert headers["prefer"] == "modes=snapshot"
    assert "if-none-match" not in headers


def test_the_etag_is_sent_as_received_and_304_means_unchanged():
    with bundle_server(authz=Answer(b"bytes", 'W/"e1"')) as server:
        assert ask(server.url, 'W/"e1"') == NotModified()
    assert server.sent_etags(PATH) == ['W/"e1"']


def test_an_answer_without_etag_has_none():
    with bundle_server(authz=Answer(b"bytes")) as server:
        assert ask(server.url, '"old"') == Downloaded(b"bytes", None)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        pytest.param(404, "server replied with Not Found", id="404"),
        pytest.param(500, "server replied with Internal Server Error", id="500"),
        pytest.param(204, "server replied with No Content", id="204"),
        pytest.param(304, "server replied with Not Modified", id="304 without our asking"),
        pytest.param(599, "server replied with status 599", id="unknown status"),
    ],
)
def test_other_answers_are_errors_in_opas_words(status, message):
    with (
        bundle_server(authz=Answer(status=status)) as server,
        pytest.raises(BundleDownloadError) as raised,
    ):
        ask(server.url)
    assert str(raised.value) == message
    assert raised.value.http_code == status


@pytest.mark.parametrize("fault", ["hang", "cut"])
def test_half_an_answer_is_no_answer(fault):
    with (
        bundle_server(authz=Answer(b"x" * 1000, fault=fault)) as server,
        pytest.raises(BundleDownloadError, match="request failed: ") as raised,
    ):
        ask(server.url, timeout_seconds=0.3)
    assert raised.value.http_code is None


def test_a_server_that_is_gone_is_an_error():
    with bundle_server() as server:
        url = server.url
    with pytest.raises(BundleDownloadError, match="request failed: "):
        ask(url)


def test_a_web_page_is_not_taken_for_a_bundle():
    def handle(request, _):
        reply(request, 200, b"<html>Sign in", Content_Type="text/html; charset=utf-8")

    with http_server(handle) as url, pytest.raises(BundleDownloadError, match="an HTML page"):
        ask(url)


class CutServer:
    """Cuts each whole answer in the middle; what it does with ranges is up to the test."""

    def __init__(self, raw=b"0123456789" * 1000, etag='"e1"', ranges="bytes"):
        self.raw, self.etag, self.ranges = raw, etag, ranges
        self.asked = []
        self.hang = None

    def handle(self, request, _):
        headers = request.headers
        self.asked.append((headers["Range"], headers["If-Range"], headers["If-None-Match"]))
        start = 0
        if headers["Range"] and headers["If-Range"] == self.etag and self.ranges == "bytes":
            start = int(headers["Range"].removeprefix("bytes=").removesuffix("-"))
        rest = self.raw[start:]
        request.send_response(206 if start else 200)
        request.send_header("ETag", self.etag)
        if start:
            request.send_header(
                "Content-Range", f"bytes {start}-{len(self.raw) - 1}/{len(self.raw)}"
            )
        request.send_header("Content-Length", str(len(rest)))
        request.end_headers()
        whole = len(self.asked) > 2
        request.wfile.write(rest if whole else rest[:4000])
        request.wfile.flush()
        if self.hang and not whole:
            self.hang.wait(10)
        request.close_connection = True


def fetch_until_whole(server, attempts=3, etag=None):
    with http_server(server.handle) as url:
        origin = HttpOrigin(ServiceClient(Service("s", url)), PATH)
        for _ in range(attempts - 1):
            with pytest.raises(BundleDownloadError):
                asyncio.run(origin.fetch(etag, 5))
        return asyncio.run(origin.fetch(etag, 5))


def test_a_cut_download_is_taken_up_where_it_ended():
    server = CutServer()
    assert fetch_until_whole(server, etag='"old"') == Downloaded(server.raw, '"e1"')
    assert server.asked == [
        (None, None, '"old"'),
        ("bytes=4000-", '"e1"', '"old"'),
        ("bytes=8000-", '"e1"', '"old"'),
    ]


def test_what_was_cut_of_an_answer_to_another_etag_is_not_added_to():
    """To each ETag the same version may be another delta."""
    server = CutServer()
    with http_server(server.handle) as url:
        origin = HttpOrigin(ServiceClient(Service("s", url)), PATH)
        for etag in ('"one"', '"two"'):
            with pytest.raises(BundleDownloadError):
                asyncio.run(origin.fetch(etag, 5))
    assert [asked[0] for asked in server.asked] == [None, None]


def test_a_server_without_ranges_is_asked_for_the_whole():
    server = CutServer(ranges="none")
    assert fetch_until_whole(server) == Downloaded(server.raw, '"e1"')


def test_a_weak_etag_does_not_say_that_the_rest_still_fits():
    server = CutServer(etag='W/"e1"')
    assert fetch_until_whole(server) == Downloaded(server.raw, 'W/"e1"')
    assert {asked[0] for asked in server.asked} == {None}


def test_a_bundle_that_changed_meanwhile_is_fetched_whole():
    server = CutServer()

    with http_server(server.handle) as url:
        origin = HttpOrigin(ServiceClient(Service("s", url)), PATH)
        with pytest.raises(BundleDownloadError):
            asyncio.run(origin.fetch(None, 5))
        server.raw, server.etag = b"new" * 100, '"e2"'
        assert asyncio.run(origin.fetch(None, 5)) == Downloaded(server.raw, '"e2"')


@pytest.mark.parametrize(
    "content_range",
    ["bytes 0-5/10", "bytes 4000-9999/*", "", "bytes 4000-9999/20000"],
    ids=["another start", "no length", "no range", "another length"],
)
def test_a_part_that_does_not_fit_is_refused_and_the_whole_asked_for(content_range):
    server = CutServer()
    ranges = []

    def handle(request, body):
        ranges.append(request.headers["Range"])
        if request.headers["Range"]:
            reply(request, 206, b"x" * 6000, Content_Range=content_range)
        else:
            server.handle(request, body)

    with http_server(handle) as url:
        origin = HttpOrigin(ServiceClient(Service("s", url)), PATH)
        with pytest.raises(BundleDownloadError, match="cut off"):
            asyncio.run(origin.fetch(None, 5))
        with pytest.raises(BundleDownloadError, match="fetched anew"):
            asyncio.run(origin.fetch(None, 5))
        with pytest.raises(BundleDownloadError, match="cut off"):
            asyncio.run(origin.fetch(None, 5))
    assert ranges == [None, "bytes=4000-", None]


def test_a_download_that_was_cancelled_before_a_freeze_goes_on_after_it():
    server = CutServer()
    server.hang = threading.Event()

    async def cancelled(origin):
        fetching = asyncio.ensure_future(origin.fetch(None, 30))
        while not server.asked:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching

    with http_server(server.handle) as url:
        origin = HttpOrigin(ServiceClient(Service("s", url)), PATH)
        asyncio.run(cancelled(origin))
        server.hang.set()
        with pytest.raises(BundleDownloadError):
            asyncio.run(origin.fetch(None, 5))
        assert asyncio.run(origin.fetch(None, 5)) == Downloaded(server.raw, '"e1"')
    assert [asked[0] for asked in server.asked] == [None, "bytes=4000-", "bytes=8000-"]


def test_what_is_shown_of_an_url_has_no_secrets():
    client = ServiceClient(Service("s", "https://user:secret@s.test/v1"))
    origin = HttpOrigin(client, "/b.tar.gz?X-Amz-Signature=secret")
    assert origin.shown_url == "https://s.test/v1/b.tar.gz"
