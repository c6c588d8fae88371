import gzip
import json
import socket

import httpx
import pytest

from tests.auditor.audit_process import body, event, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("received")) as server:
        yield server


@pytest.fixture
def gained(server):
    """Return what the counters gained since the test began, once all is settled."""
    before = server.settled()

    def gained():
        after = server.settled()
        return {name: after[name] - before[name] for name in after if after[name] != before[name]}

    return gained


@pytest.mark.parametrize(
    "path", [pytest.param("/logs", id="plain"), pytest.param("/logs/eu/orders", id="partition")]
)
def test_an_upload_of_opa_is_taken_and_stored(server, gained, path):
    answer = server.post(event(f"{path}-1"), event(f"{path}-2"), path=path)
    assert (answer.status_code, answer.json()) == (200, {})
    assert answer.headers["Content-Type"] == "application/json"
    assert gained() == {"received": 2, "stored": 2}


def test_an_uncompressed_body_is_taken(server, gained):
    answer = server.client.post("/logs", json=[event("plain")])
    assert answer.status_code == 200
    assert gained() == {"received": 1, "stored": 1}


def test_a_repeated_event_is_counted_and_not_stored(server, gained):
    server.post(event("twice"), event("twice"))
    server.post(event("twice"), event("once"))
    assert gained() == {"received": 4, "stored": 2, "duplicates": 2}


def test_a_bad_entry_does_not_cost_the_good_ones(server, gained):
    server.post(event("good"), {"decision_id": "no time"}, {"type": "close"}, "text")
    assert gained() == {"received": 4, "stored": 1, "quarantined": 3}


def test_an_empty_array_is_nothing_to_store(server, gained):
    assert server.post().status_code == 200
    assert gained() == {}


@pytest.mark.parametrize(
    ("content", "encoding", "status", "message"),
    [
        pytest.param(b"[]", "gzip", 400, "not gzip", id="not gzip"),
        pytest.param(body(1)[:-2], "gzip", 400, "cut short", id="cut gzip"),
        pytest.param(gzip.compress(b"{}"), "gzip", 400, "not a JSON array", id="object"),
        pytest.param(gzip.compress(b"["), "gzip", 400, "not JSON", id="not JSON"),
        pytest.param(b"", "identity", 400, "not JSON", id="empty"),
        pytest.param(body(1), "identity", 400, "not JSON", id="gzip that does not say so"),
        pytest.param(b"[]", "br", 415, "gzip", id="unknown encoding"),
        pytest.param(gzip.compress(bytes(65 << 20)), "gzip", 400, "when decompressed", id="bomb"),
        pytest.param(bytes((16 << 20) + 1), "identity", 413, "larger than", id="large"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_whole(
    server, gained, content, encoding, status, message
):
    answer = server.client.post("/logs", content=content, headers={"Content-Encoding": encoding})
    assert answer.status_code == status
    assert set(answer.json()) == {"code", "message"}
    assert message in answer.json()["message"]
    assert gained() == {}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        pytest.param("GET", "/logs", 405, "method_not_allowed", id="method"),
        pytest.param("POST", "/status", 404, "resource_not_found", id="path"),
    ],
)
def test_other_requests_get_the_same_form_of_error(server, method, path, status, code):
    answer = server.client.request(method, path)
    assert answer.status_code == status
    assert answer.json()["code"] == code


def test_health(server):
    assert server.client.get("/health").json() == {}


def test_a_sender_that_hangs_up_leaves_nothing(server, gained):
    url = httpx.URL(server.client.base_url)
    with socket.create_connection((url.host, url.port)) as sender:
        sender.sendall(b"POST /logs HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n[")
    assert gained() == {}


def test_requests_are_answered_while_a_large_body_is_ingested(server, gained):
    events = [event(f"large-{i}", input={"text": "x" * 500}) for i in range(8_000)]
    assert server.post(*events).status_code == 200
    # Parsing and committing this takes far longer than one request.
    assert server.stats()["pending"] == 8_000
    assert gained() == {"received": 8_000, "stored": 8_000}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    directory = tmp_path_factory.mktemp("guarded")
    (directory / "token").write_text("s3cret\n")
    store = directory / "store"
    with serving(store, "--token-file", str(directory / "token"), token="s3cret") as server:
        yield server


@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param("", id="none"),
        pytest.param("Bearer wrong", id="wrong"),
        pytest.param("Bearer s3cret2", id="longer"),
        pytest.param("Basic s3cret", id="scheme"),
        pytest.param("s3cret", id="no scheme"),
    ],
)
def test_without_the_token_nothing_is_taken_or_told(guarded, authorization):
    headers = {"Authorization": authorization}
    for answer in (
        guarded.client.post("/logs", content=json.dumps([event("d")]), headers=headers),
        guarded.client.get("/stats", headers=headers),
    ):
        assert answer.status_code == 401
        assert answer.json()["code"] == "unauthorized"
    assert guarded.client.get("/health", headers=headers).status_code == 200
    assert guarded.stats()["received"] == 0


def test_with_the_token_events_are_taken(guarded):
    assert guarded.post(5).status_code == 200
    assert guarded.settled()["quarantined"] == 1
