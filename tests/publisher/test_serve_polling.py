"""Clients of `serve-bundles` that wait for news, and such that go on with a cut download."""

import threading
import time

import httpx
import pytest

from policy_agent.publisher.preferences import LONGEST_WAIT_SECONDS, seconds_to_wait, wanted_part
from tests.publisher.serving import publish, serve_bundles

RAW = bytes(range(200))


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, 0),
        ("modes=snapshot,delta", 0),
        ("modes=snapshot,delta;wait=20", 20),
        ("wait=5", 5),
        ("respond-async, wait=7", 7),
        ('wait="9"', 9),
        ("wait=-1", 0),
        ("await=5", 0),
        ("wait=99999999", LONGEST_WAIT_SECONDS),
    ],
)
def test_a_client_says_how_long_it_waits(prefer, seconds):
    assert seconds_to_wait(prefer) == seconds


@pytest.mark.parametrize(
    ("header", "part"),
    [
        (None, None),
        ("bytes=0-", range(10)),
        ("bytes=4-", range(4, 10)),
        ("bytes=4-5", range(4, 6)),
        ("bytes=4-99", range(4, 10)),
        ("bytes=10-", range(10, 10)),
        ("bytes=99-", range(10, 10)),
        ("bytes=-3", None),
        ("bytes=1-2,4-5", None),
        ("bytes=5-4", None),
        ("lines=1-2", None),
    ],
)
def test_a_range_is_a_part_of_what_there_is(header, part):
    assert wanted_part(header, 10) == part


@pytest.fixture
def directory(tmp_path):
    publish(tmp_path / "orders.tar.gz", RAW)
    return tmp_path


@pytest.fixture
def client(directory):
    with serve_bundles(directory) as url, httpx.Client(base_url=url, timeout=20) as client:
        yield client


def test_a_cut_download_goes_on_where_it_ended(client):
    etag = client.get("/bundles/orders").headers["ETag"]
    rest = client.get("/bundles/orders", headers={"Range": "bytes=150-", "If-Range": etag})
    assert (rest.status_code, rest.content) == (206, RAW[150:])
    assert rest.headers["Content-Range"] == "bytes 150-199/200"
    beyond = client.get("/bundles/orders", headers={"Range": "bytes=200-"})
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, "bytes */200")


def test_what_has_been_replaced_is_sent_whole(client, directory):
    etag = client.get("/bundles/orders").headers["ETag"]
    publish(directory / "orders.tar.gz", b"another")
    answer = client.get("/bundles/orders", headers={"Range": "bytes=3-", "If-Range": etag})
    assert (answer.status_code, answer.content) == (200, b"another")


def test_whoever_waits_is_answered_when_there_is_news(client, directory):
    etag = client.get("/bundles/orders").headers["ETag"]
    threading.Timer(0.5, publish, [directory / "orders.tar.gz", b"news"]).start()
    began = time.monotonic()
    headers = {"If-None-Match": etag, "Prefer": "modes=snapshot,delta;wait=15"}
    answer = client.get("/bundles/orders", headers=headers)
    assert answer.content == b"news"
    assert answer.headers["Content-Type"] == "application/vnd.openpolicyagent.bundles"
    assert 0.4 < time.monotonic() - began < 10


def test_whoever_waits_in_vain_is_told_that_nothing_changed(client):
    etag = client.get("/bundles/orders").headers["ETag"]
    began = time.monotonic()
    headers = {"If-None-Match": etag, "Prefer": "wait=1"}
    answer = client.get("/bundles/orders", headers=headers)
    assert (answer.status_code, answer.content) == (304, b"")
    assert time.monotonic() - began >= 1
    headers = {"If-None-Match": '"old"', "Prefer": "wait=15"}
    assert client.get("/bundles/orders", headers=headers).content == RAW


def test_the_server_ends_while_clients_wait(directory):
    failures = []

    def wait(url, etag):
        headers = {"If-None-Match": etag, "Prefer": "wait=60"}
        try:
            httpx.get(f"{url}/bundles/orders", headers=headers, timeout=30)
        except httpx.HTTPError as exc:
            failures.append(exc)

    with serve_bundles(directory) as url:
        etag = httpx.get(f"{url}/bundles/orders").headers["ETag"]
        waiting = threading.Thread(target=wait, args=(url, etag))
        waiting.start()
        time.sleep(0.5)
    waiting.join(timeout=10)
    assert not waiting.is_alive()
