import socket

import httpx
import pytest

from tests.publisher.serving import publish, serve_bundles, start


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("served")
    (directory / "teams").mkdir()
    publish(directory / "orders.tar.gz", b"one")
    publish(directory / "teams" / "orders.tar.gz", b"team")
    (directory.parent / "secret.tar.gz").write_bytes(b"secret")
    return directory


@pytest.fixture(scope="module")
def client(directory):
    with serve_bundles(directory) as url, httpx.Client(base_url=url) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "content"),
    [
        pytest.param("/bundles/teams/orders", b"team", id="without suffix"),
        pytest.param("/bundles/teams/orders.tar.gz", b"team", id="with suffix"),
    ],
)
def test_a_bundle_is_served_as_gzip_without_content_encoding(client, path, content):
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.content == content
    assert answer.headers["Content-Type"] == "application/gzip"
    assert "Content-Encoding" not in answer.headers
    assert not answer.headers["ETag"].startswith("W/")


def test_head_answers_with_the_headers_only(client):
    answer = client.head("/bundles/teams/orders")
    assert answer.status_code == 200
    assert answer.headers["Content-Length"] == "4"
    assert answer.content == b""


def test_a_client_that_has_the_bundle_is_told_so(client):
    etag = client.get("/bundles/teams/orders").headers["ETag"]
    answer = client.get("/bundles/teams/orders", headers={"If-None-Match": f'"old", {etag}'})
    assert answer.status_code == 304
    assert answer.headers["ETag"] == etag
    assert answer.content == b""


def test_a_replaced_bundle_is_served_at_once(client, directory):
    etag = client.get("/bundles/orders").headers["ETag"]
    publish(directory / "orders.tar.gz", b"two")
    answer = client.get("/bundles/orders", headers={"If-None-Match": etag})
    assert answer.status_code == 200
    assert answer.content == b"two"


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/bundles/nothing", id="no such bundle"),
        pytest.param("/bundles/", id="no name"),
        pytest.param("/bundles/..%2Fsecret", id="encoded traversal"),
        pytest.param("/bundles/%2e%2e/%2e%2e/secret", id="encoded dots"),
        pytest.param("/bundles/teams", id="a directory"),
        pytest.param("/elsewhere", id="no such route"),
    ],
)
def test_unknown_paths_are_404_in_json(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json()["code"] == "resource_not_found"


def test_traversal_on_the_wire_is_404(client):
    with socket.create_connection((client.base_url.host, client.base_url.port)) as wire:
        wire.sendall(b"GET /bundles/../../secret HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert wire.recv(64).startswith(b"HTTP/1.1 404")


def test_writing_is_refused(client):
    answer = client.put("/bundles/orders", content=b"evil")
    assert answer.status_code == 405
    assert sorted(answer.headers["Allow"].split(", ")) == ["GET", "HEAD"]
    assert answer.json()["code"] == "invalid_parameter"


def test_health_answers(client):
    assert client.get("/health").json() == {}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["nowhere"], "nowhere: is not a directory", id="no directory"),
        pytest.param([".", "--addr", "8888"], "--addr: must be HOST:PORT, not 8888", id="no host"),
        pytest.param([".", "--addr", "localhost:99999"], "--addr: must be HOST:PORT", id="port"),
        pytest.param(
            [".", "--addr", "192.0.2.1:1"],
            "--addr: cannot listen on 192.0.2.1:1: Cannot assign requested address",
            id="not our address",
        ),
    ],
)
def test_wrong_arguments_end_with_a_sentence(arguments, sentence):
    with start(*arguments) as process:
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 1
    assert f"policy-agent serve-bundles: error: {sentence}" in errors


def test_an_idle_connection_does_not_delay_the_end(directory):
    with start(str(directory), "--addr", "127.0.0.1:0") as process:
        assert process.stderr is not None
        with httpx.Client(base_url=process.stderr.readline().split()[-1]) as client:
            client.get("/health")
            process.terminate()
            assert process.wait(timeout=2) == 0


def test_requests_are_logged_when_asked_for(directory):
    with start(str(directory), "--addr", "127.0.0.1:0", "--log-requests") as process:
        assert process.stderr is not None
        url = process.stderr.readline().split()[-1]
        httpx.get(f"{url}/bundles/teams/orders")
        process.terminate()
        _, log = process.communicate(timeout=10)
    assert '"GET /bundles/teams/orders HTTP/1.1" 200' in log
