"""One conditional request: what is sent, and what each answer means."""

import asyncio

import pytest

from policy_agent.bundle.download import Downloaded, NotModified, download
from policy_agent.config import BundleSource, Service
from policy_agent.errors import BundleDownloadError
from policy_agent.service import ServiceClient
from tests.bundle.serving import Answer, bundle_server

PATH = "/bundles/authz"


def ask(url, etag=None, *, timeout_seconds=5.0):
    service = Service("s", url)
    source = BundleSource("authz", service, PATH)
    return asyncio.run(download(source, ServiceClient(service), etag, timeout_seconds))


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
