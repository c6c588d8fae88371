"""Where a bundle comes from when its service does not deliver: mirrors, copies, long polls."""

import asyncio
import threading

import pytest

from policy_agent.config import BundleSource, Delays, Freshness, Mirror, Service
from policy_agent.status import State
from tests.bundle.archives import archive, bundle
from tests.bundle.serving import Answer, bundle_server
from tests.bundle.test_bundle_manager import Rig
from tests.support import http_server, reply


def source(url, *mirrors, name="authz", **facts):
    facts.setdefault("persist", False)
    return BundleSource(
        name,
        Service("first", url),
        f"bundles/{name}",
        Delays(60, 120),
        mirrors=tuple(
            Mirror(Service(f"mirror{at}", url), f"bundles/{name}") for at, url in enumerate(mirrors)
        ),
        **facts,
    )


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path / "copies")


def source_of(rig):
    return rig.status().to_json()["source"]


def test_a_mirror_is_asked_only_when_those_before_it_fail(rig):
    r1, r2 = Answer(bundle("a"), '"1"'), Answer(bundle("a", revision="r2"), '"2"')
    with (
        bundle_server(authz=r1) as first,
        bundle_server(authz=Answer(status=503)) as second,
        bundle_server(authz=r2) as third,
    ):
        rig.build([source(first.url, second.url, third.url)]).start()
        assert (second.requests, third.requests) == ([], [])
        assert source_of(rig) == {"type": "remote", "location": f"{first.url}/bundles/authz"}
        first.answers["/bundles/authz"] = Answer(status=500)
        rig.later()
    assert rig.revisions == {"authz": "r2"}
    assert source_of(rig) == {
        "type": "mirror",
        "location": f"{third.url}/bundles/authz",
        "reason": "server replied with Internal Server Error",
    }
    assert rig.status().code == "", "the bundle is the newest that can be had"
    assert third.sent_etags("/bundles/authz") == [None], "an ETag means nothing elsewhere"


@pytest.mark.parametrize(
    "broken", [Answer(b"<html>"), Answer(bundle("a")[:50])], ids=["not a bundle", "half a bundle"]
)
def test_a_bundle_that_cannot_be_read_is_sought_at_the_mirror(rig, broken):
    with (
        bundle_server(authz=broken) as first,
        bundle_server(authz=Answer(bundle("a"), '"1"')) as mirror,
    ):
        rig.build([source(first.url, mirror.url)]).start()
        rig.later()
    assert rig.revisions == {"authz": "r1"}
    assert mirror.sent_etags("/bundles/authz") == [None, '"1"']
    assert len(rig.activated) == 1


def test_the_same_bytes_from_elsewhere_are_not_compiled_again(rig):
    same = bundle("a")
    with (
        bundle_server(authz=Answer(same, '"1"')) as first,
        bundle_server(authz=Answer(same, '"x"')) as mirror,
    ):
        rig.build([source(first.url, mirror.url)]).start()
        first.answers["/bundles/authz"] = Answer(status=500)
        rig.later()
        assert source_of(rig)["type"] == "mirror"
        first.answers["/bundles/authz"] = Answer(same, '"2"')
        rig.later()
        rig.later()
    assert source_of(rig)["type"] == "remote"
    assert len(rig.engine.compiled) == 1
    assert first.sent_etags("/bundles/authz") == [None, '"1"', None, '"2"']


def test_when_all_fail_the_status_says_why_of_each(rig):
    with (
        bundle_server(authz=Answer(status=403)) as first,
        bundle_server(authz=Answer(b"<html>")) as mirror,
    ):
        rig.build([source(first.url, mirror.url)]).start()
    status = rig.status()
    assert status.message == (
        f"server replied with Forbidden; mirror {mirror.url}/bundles/authz: "
        "bundle read failed: archive read failed: gzip: invalid header"
    )
    assert status.http_code == 403
    assert rig.manager.due(), "the first retry is immediate"


def test_a_silent_service_leaves_time_for_its_mirrors(rig):
    with (
        bundle_server(authz=Answer(fault="hang")) as first,
        bundle_server(authz=Answer(bundle("a"))) as mirror,
    ):
        rig.build([source(first.url, mirror.url)]).start(timeout_seconds=0.6)
    assert rig.revisions == {"authz": "r1"}


def test_the_etag_of_a_mirror_is_not_kept_for_the_service(rig, tmp_path):
    with (
        bundle_server(authz=Answer(status=500)) as first,
        bundle_server(authz=Answer(bundle("a"), '"m"')) as mirror,
    ):
        wanted = [source(first.url, mirror.url, persist=True)]
        rig.build(wanted).start()
        first.answers["/bundles/authz"] = Answer(bundle("a", revision="r2"), '"m"')
        second = Rig(tmp_path / "copies").build(wanted)
        second.start()
    assert second.revisions == {"authz": "r2"}


def test_the_copy_on_disk_serves_before_the_packaged_one(rig, tmp_path):
    packaged = tmp_path / "packaged.tar.gz"
    packaged.write_bytes(bundle("a", revision="packaged"))
    with bundle_server(authz=Answer(bundle("a"), '"1"')) as server:
        wanted = [source(server.url, persist=True, packaged=str(packaged))]
        rig.build(wanted).start()
    second = Rig(tmp_path / "copies").build(wanted)
    second.start()
    assert second.revisions == {"authz": "r1"}
    assert source_of(second) == {
        "type": "persisted",
        "location": str(tmp_path / "copies/bundles/authz/bundle.tar.gz"),
    }
    assert second.status().message.startswith("request failed: ")


def test_a_copy_that_no_longer_compiles_is_not_what_the_service_is_asked_about(rig, tmp_path):
    with bundle_server(authz=Answer(bundle("a"), '"1"')) as server:
        wanted = [source(server.url, persist=True)]
        rig.build(wanted).start()
        second = Rig(tmp_path / "copies").build(wanted)
        second.engine.refused = 1
        second.start()
    assert server.sent_etags("/bundles/authz") == [None, None]
    assert second.revisions == {"authz": "r1"}


@pytest.mark.parametrize("form", ["archive", "directory"])
def test_a_packaged_copy_serves_until_the_service_is_back(rig, tmp_path, form):
    packaged = tmp_path / "packaged"
    if form == "archive":
        packaged.write_bytes(bundle("a", revision="packaged"))
    else:
        packaged.mkdir()
        (packaged / ".manifest").write_text('{"revision": "packaged"}')
        (packaged / "p.rego").write_text("package a")
    with bundle_server(authz=Answer(status=502)) as server:
        rig.build([source(server.url, packaged=str(packaged))]).start()
        assert rig.revisions == {"authz": "packaged"}
        assert source_of(rig) == {
            "type": "packaged",
            "location": str(packaged),
            "reason": "server replied with Bad Gateway",
        }
        assert (rig.status().state, rig.status().http_code) == (State.OK, 502)
        server.answers["/bundles/authz"] = Answer(bundle("a"), '"1"')
        rig.later(0)
    assert rig.revisions == {"authz": "r1"}
    assert source_of(rig)["type"] == "remote"
    assert rig.status().code == ""


def test_a_packaged_copy_has_no_age_to_rely_on(rig, tmp_path):
    packaged = tmp_path / "packaged.tar.gz"
    packaged.write_bytes(bundle("a"))
    with bundle_server(authz=Answer(status=502)) as server:
        freshness = Freshness(60, "deny", 0)
        rig.build([source(server.url, packaged=str(packaged), freshness=freshness)]).start()
    assert "of unknown age" in asyncio.run(rig.manager.freshen())


def test_a_packaged_copy_that_is_no_use_is_told_beside_the_cause(rig, tmp_path):
    with bundle_server(authz=Answer(status=404)) as server:
        rig.build([source(server.url, packaged=str(tmp_path / "nothing"))]).start()
    assert rig.revisions is None
    assert rig.status().message == (
        f"server replied with Not Found; packaged copy: {tmp_path}/nothing: "
        "no such file or directory"
    )


def test_a_packaged_copy_stands_in_for_a_bundle_that_does_not_compile(rig, tmp_path):
    packaged = tmp_path / "packaged.tar.gz"
    packaged.write_bytes(bundle("a", revision="packaged"))
    bad = archive({"p.rego": b"package a # bad"})
    with bundle_server(authz=Answer(bad, '"1"')) as server:
        rig.build([source(server.url, packaged=str(packaged))]).start()
        rig.later()
    assert rig.revisions == {"authz": "packaged"}
    assert [problem.code for problem in rig.status().problems] == ["rego_unsafe_var_error"]
    assert server.sent_etags("/bundles/authz") == [None, None]


class LongPollServer:
    """Answers a request with `wait` when a version is published, 304 when the time is up."""

    def __init__(self):
        self.version, self.etag = bundle("a"), '"1"'
        self.published = threading.Event()
        self.waits = []
        self.waiting = threading.Event()
        self.content_type = "application/vnd.openpolicyagent.bundles"

    def publish(self, revision):
        self.version, self.etag = bundle("a", revision=revision), f'"{revision}"'
        self.published.set()

    def handle(self, request, _):
        prefer = request.headers["Prefer"]
        self.waits.append(prefer)
        if request.headers["If-None-Match"] == self.etag and "wait=" in prefer:
            self.waiting.set()
            self.published.wait(5)
        if request.headers["If-None-Match"] == self.etag:
            reply(request, 304, ETag=self.etag)
        else:
            reply(request, 200, self.version, ETag=self.etag, Content_Type=self.content_type)


def test_a_long_poll_brings_a_new_version_when_it_is_there(rig):
    server = LongPollServer()

    async def scenario():
        await rig.manager.start(5)
        rig.now += 120
        polling = asyncio.ensure_future(rig.manager.poll("authz"))
        await asyncio.to_thread(server.waiting.wait, 5)
        assert rig.manager.seconds_until_due() is None, "the poll is not waited for"
        server.publish("r2")
        await polling
        assert rig.revisions == {"authz": "r2"}
        await rig.manager.poll("authz")

    with http_server(server.handle) as url:
        rig.build([source(url, long_poll_seconds=30)])
        asyncio.run(scenario())
    assert server.waits[0] == "modes=snapshot"
    assert server.waits[1:] == ["modes=snapshot,delta;wait=30"] * 2


def test_a_server_that_does_not_long_poll_is_polled_at_intervals(rig):
    server = LongPollServer()
    server.content_type = "application/gzip"
    with http_server(server.handle) as url:
        rig.build([source(url, long_poll_seconds=30)]).start()
        rig.now += 120
        asyncio.run(rig.manager.poll("authz"))
        assert rig.manager._slots["authz"].remote.schedule.delay_seconds == 90
    assert server.waits == ["modes=snapshot", "modes=snapshot,delta"]


def test_what_a_refresh_brought_is_not_replaced_by_an_older_long_poll(rig):
    """A refresh for a stale bundle overtakes a poll whose answer was on its way already."""
    server = LongPollServer()
    overtaken = threading.Event()

    def handle(request, body):
        if "wait=" in request.headers["Prefer"]:
            answer = (server.version, server.etag)
            server.waiting.set()
            overtaken.wait(5)
            reply(request, 200, answer[0], ETag=answer[1], Content_Type=server.content_type)
        else:
            server.handle(request, body)

    async def scenario():
        await rig.manager.start(5)
        server.publish("r2")
        rig.now += 120
        polling = asyncio.ensure_future(rig.manager.poll("authz"))
        await asyncio.to_thread(server.waiting.wait, 5)
        server.publish("r3")
        assert await rig.manager.freshen() == ""
        assert rig.revisions == {"authz": "r3"}
        overtaken.set()
        await polling
        assert rig.revisions == {"authz": "r3"}

    with http_server(handle) as url:
        freshness = Freshness(60, "deny", 5000)
        rig.build([source(url, long_poll_seconds=30, freshness=freshness)])
        asyncio.run(scenario())
