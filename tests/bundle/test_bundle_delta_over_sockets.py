"""Deltas from a server to the manager, and the same ones to the real OPA."""

import contextlib
import json
import subprocess
import threading
from typing import Any

import httpx
import pytest

from policy_agent.bundle.download import LONG_POLL_TYPE
from policy_agent.bundle.reader import read_bundle
from tests.bundle.archives import archive, bundle
from tests.bundle.serving import Answer, bundle_server
from tests.bundle.test_bundle_delta import CASES, DATA, op, patch
from tests.bundle.test_bundle_manager import Rig, sources
from tests.support import OPA, http_server, reply, wait_until


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path / "state")


def delta(number, revision="r2", roots=("authz",)):
    files = patch(op("upsert", "/authz/n", number), revision=revision, roots=list(roots))
    return archive(files)


def data_of(rig):
    return rig.manager.snapshot.bundles["authz"].data["authz"]


def test_a_delta_leads_on_from_the_version_that_the_etag_names(rig):
    with bundle_server(authz=Answer(bundle("authz", data={"n": 1, "m": 1}), '"1"')) as server:
        rig.build(sources(server.url, "authz", persist=True)).start()
        server.answers["/bundles/authz"] = Answer(delta(2), '"2"')
        rig.later()
        assert data_of(rig) == {"n": 2, "m": 1}
        assert rig.revisions == {"authz": "r2"}
        assert rig.status().to_json()["type"] == "delta"
        rig.later()
    modes = [headers["prefer"] for _, headers in server.requests]
    assert modes == ["modes=snapshot", "modes=snapshot,delta", "modes=snapshot,delta"]
    assert server.sent_etags("/bundles/authz") == [None, '"1"', '"2"']


def test_after_a_restart_the_kept_snapshot_and_its_etag_lead_on(rig, tmp_path):
    with bundle_server(authz=Answer(bundle("authz", data={"n": 1}), '"1"')) as server:
        rig.build(sources(server.url, "authz", persist=True)).start()
        server.answers["/bundles/authz"] = Answer(delta(2), '"2"')
        rig.later()
        assert data_of(rig) == {"n": 2}
        again = Rig(tmp_path / "state").build(sources(server.url, "authz", persist=True))
        again.start()
        assert data_of(again) == {"n": 2}
    assert server.sent_etags("/bundles/authz")[-1] == '"1"'


def test_a_delta_that_does_not_fit_is_refused_and_a_snapshot_asked_for(rig):
    with bundle_server(authz=Answer(bundle("authz", data={"n": 1}), '"1"')) as server:
        rig.build(sources(server.url, "authz")).start()
        files = patch(op("remove", "/authz/none"), roots=["authz"])
        server.answers["/bundles/authz"] = Answer(archive(files), '"2"')
        rig.later()
        assert data_of(rig) == {"n": 1}
        assert "remove /authz/none" in rig.status().message
        server.answers["/bundles/authz"] = Answer(bundle("authz", data={"n": 3}), '"3"')
        rig.later()
        assert data_of(rig) == {"n": 3}
        assert rig.status().message == ""
    assert server.requests[-1][1]["prefer"] == "modes=snapshot"
    assert server.sent_etags("/bundles/authz") == [None, '"1"', None]


SNAPSHOT = archive(
    {
        ".manifest": b'{"revision": "r1", "roots": ["a", "other"]}',
        "data.json": json.dumps(DATA).encode(),
    }
)


class Publisher:
    """Holds each request back until there is another version than the client has."""

    def __init__(self):
        self._news = threading.Condition()
        self._body, self._etag, self._is_over = SNAPSHOT, '"0"', False

    def publish(self, body, etag):
        with self._news:
            self._body, self._etag = body, etag
            self._news.notify_all()

    def close(self):
        with self._news:
            self._is_over = True
            self._news.notify_all()

    def handle(self, request, _):
        with self._news:
            known = request.headers.get("If-None-Match")
            self._news.wait_for(lambda: self._is_over or known != self._etag, timeout=20)
            kind = {"Content-Type": LONG_POLL_TYPE}
            reply(request, 200, self._body, ETag=self._etag, **kind)


@contextlib.contextmanager
def opa_with(publisher, tmp_path, port):
    with http_server(publisher.handle) as url:
        polling = {
            "long_polling_timeout_seconds": 20,
            "min_delay_seconds": 1,
            "max_delay_seconds": 1,
        }
        config = {"services": {"s": {"url": url}}, "bundles": {"b": {"polling": polling}}}
        path = tmp_path / "opa.json"
        path.write_text(json.dumps(config))
        address = f"127.0.0.1:{port}"
        command = [str(OPA), "run", "-s", "-c", str(path), "-a", address, "--disable-telemetry"]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            try:
                with httpx.Client(base_url=f"http://{address}") as client:
                    yield client
            finally:
                process.kill()
                publisher.close()


@pytest.mark.opa
@pytest.mark.skipif(OPA is None, reason="no opa: set OPA_BIN or put it on the PATH")
def test_deltas_do_to_our_data_what_they_do_to_opas(tmp_path, unused_port):
    # One OPA, one delta after the other: each begins by putting everything back.
    restore = [op("upsert", f"/{key}", value) for key, value in DATA.items()]
    publisher, ours = Publisher(), read_bundle("b", SNAPSHOT)
    with opa_with(publisher, tmp_path, unused_port) as opa:
        wait_until(lambda: data_at(opa) == DATA)
        for number, case in enumerate(CASES, 1):
            mark = op("upsert", "/other/mark", number)
            operations: Any = case.values[0]
            files = patch(*restore, *operations, mark, roots=["a", "other"])
            ours = read_bundle("b", archive(files), base=ours)
            publisher.publish(archive(files), f'"{number}"')
            wait_until(lambda: data_at(opa)["other"].get("mark") == number)  # noqa: B023
            assert data_at(opa) == ours.data, case.id


def data_at(opa):
    try:
        result = opa.get("/v1/data").json()["result"]
    except httpx.TransportError:
        return None
    return {key: value for key, value in result.items() if key in DATA}
