"""The manager over real sockets: what is active, what statuses say, and when it asks again."""

import asyncio
import contextlib
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from policy_agent.bundle.manager import BundleManager
from policy_agent.bundle.schedule import Clock
from policy_agent.config import BundleSource, Delays, Service, Signing
from policy_agent.model import Snapshot
from policy_agent.status import State
from tests.bundle.archives import archive, bundle, module
from tests.bundle.engine import Engine
from tests.bundle.serving import Answer, bundle_server
from tests.bundle.signing import SECRET, listed, signature_file, token

START = 1_700_000_000.0


@dataclass
class Rig:
    """A manager with an engine and clocks that a test moves."""

    directory: Path
    engine: Engine = field(default_factory=Engine)
    activated: list[Snapshot | None] = field(default_factory=list)
    now: float = START
    manager: BundleManager = field(init=False)

    def build(self, sources, **settings) -> "Rig":
        self.manager = BundleManager(
            {source.name: source for source in sources},
            keys=settings.pop("keys", {}),
            persistence_directory=self.directory,
            compile_policy=self.engine.compile,
            activate=self.activated.append,
            clock=Clock(lambda: self.now, lambda: self.now, lambda low, high: (low + high) / 2),
        )
        return self

    def start(self, timeout_seconds=5.0):
        asyncio.run(self.manager.start(timeout_seconds))

    def later(self, seconds=1000.0, timeout_seconds=5.0):
        self.now += seconds
        asyncio.run(self.manager.refresh(timeout_seconds))

    @property
    def revisions(self):
        return self.manager.snapshot.revisions if self.manager.snapshot else None

    def status(self, name="authz"):
        return self.manager.statuses[name]


def sources(url, *names, **facts):
    facts.setdefault("persist", False)
    return [
        BundleSource(name, Service("s", url), f"bundles/{name}", Delays(60, 120), **facts)
        for name in names
    ]


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path)


def at(moment: float) -> datetime:
    return datetime.fromtimestamp(moment, UTC)


def test_before_start_nothing_is_active_and_everything_is_due(rig):
    rig.build(sources("http://127.0.0.1:1", "authz"))
    assert rig.manager.snapshot is None
    assert rig.status().state is State.NOT_READY
    assert rig.manager.due()


def test_start_activates_all_bundles_together(rig):
    one, two = bundle("a", revision="r1"), bundle("b", revision="r2")
    with bundle_server(one=Answer(one, '"1"'), two=Answer(two)) as server:
        rig.build(sources(server.url, "one", "two")).start()
    assert rig.revisions == {"one": "r1", "two": "r2"}
    assert rig.activated == [rig.manager.snapshot]
    status = rig.status("one")
    assert (status.active_revision, status.size_bytes, status.code) == ("r1", len(one), "")
    assert status.last_request_at == status.last_successful_request_at == at(START)
    assert status.last_successful_download_at == status.last_successful_activation_at == at(START)
    assert status.state is State.OK


def test_policies_can_read_the_etag_of_their_bundle(rig):
    with bundle_server(authz=Answer(bundle("a"), '"e1"')) as server:
        rig.build(sources(server.url, "authz")).start()
    about = rig.manager.snapshot.policy.evaluate("data")["system"]["bundles"]["authz"]
    assert about["etag"] == '"e1"'


def test_what_cannot_be_had_stops_neither_start_nor_the_others(rig):
    with bundle_server(
        good=Answer(bundle("a")),
        hanging=Answer(fault="hang"),
        cut=Answer(bundle("b"), fault="cut"),
        broken=Answer(b"<html>"),
        failing=Answer(status=500),
    ) as server:
        names = ("good", "hanging", "cut", "broken", "failing", "missing")
        rig.build(sources(server.url, *names))
        before = time.monotonic()
        rig.start(timeout_seconds=0.5)
        assert time.monotonic() - before < 4
    assert rig.revisions == {"good": "r1"}
    messages = {name: rig.status(name).message for name in names}
    assert messages["good"] == ""
    assert re.fullmatch(r"request failed: .* did not answer within 0.5 s", messages["hanging"])
    assert messages["cut"].startswith("request failed: ")
    assert messages["broken"] == "bundle read failed: archive read failed: gzip: invalid header"
    assert messages["failing"] == "server replied with Internal Server Error"
    assert rig.status("missing").to_json()["http_code"] == 404
    assert rig.status("missing").code == "bundle_error"
    assert rig.status("missing").last_request_at == at(START)
    assert rig.status("missing").last_successful_request_at is None


def test_304_leaves_everything_and_is_a_successful_request(rig):
    with bundle_server(authz=Answer(bundle("a"), '"e1"')) as server:
        rig.build(sources(server.url, "authz")).start()
        rig.later()
    assert server.sent_etags("/bundles/authz") == [None, '"e1"']
    assert len(rig.activated) == 1
    assert rig.status().last_successful_request_at == at(START + 1000)
    assert rig.status().last_successful_download_at == at(START)


def test_a_new_version_replaces_the_old_policy_and_closes_it(rig):
    with bundle_server(authz=Answer(bundle("a"), '"e1"')) as server:
        rig.build(sources(server.url, "authz")).start()
        old = rig.manager.snapshot.policy
        server.answers["/bundles/authz"] = Answer(bundle("a", revision="r2"), '"e2"')
        rig.later()
        rig.later()
    assert rig.revisions == {"authz": "r2"}
    assert old.closed
    assert rig.engine.still_open == [rig.manager.snapshot.policy]
    assert server.sent_etags("/bundles/authz") == [None, '"e1"', '"e2"']


def test_a_server_that_stops_sending_etags_is_not_asked_with_a_stale_one(rig):
    with bundle_server(authz=Answer(bundle("a"), '"e1"')) as server:
        rig.build(sources(server.url, "authz")).start()
        server.answers["/bundles/authz"] = Answer(bundle("a", revision="r2"))
        rig.later()
        rig.later()
    assert server.sent_etags("/bundles/authz") == [None, '"e1"', None]
    assert len(rig.engine.compiled) == 2, "equal bytes are not compiled again"


def test_a_version_that_does_not_compile_leaves_the_old_one_and_its_etag(rig):
    bad = archive({"p.rego": b"package a # bad"})
    with bundle_server(authz=Answer(bundle("a"), '"e1"')) as server:
        rig.build(sources(server.url, "authz")).start()
        server.answers["/bundles/authz"] = Answer(bad, '"e2"')
        rig.later()
        status = rig.status()
        assert rig.revisions == {"authz": "r1"}
        assert not rig.manager.snapshot.policy.closed
        assert status.message == "error(s) occurred while compiling module(s)"
        assert [problem.code for problem in status.problems] == ["rego_unsafe_var_error"]
        assert status.active_revision == "r1"
        assert status.state is State.OK
        assert status.last_successful_download_at == at(START + 1000)
        assert status.last_successful_activation_at == at(START)
        rig.later(0)
        assert server.sent_etags("/bundles/authz") == [None, '"e1"', '"e1"'], "retried at once"
        assert not rig.manager.due()
        server.answers["/bundles/authz"] = Answer(bundle("a"), '"e1"')
        rig.later()
    assert rig.status().code == "", "the server went back to what is active"
    assert len(rig.activated) == 1


def test_a_version_that_cannot_be_read_counts_as_a_failed_request(rig):
    with bundle_server(authz=Answer(bundle("a"), '"e1"')) as server:
        rig.build(sources(server.url, "authz")).start()
        server.answers["/bundles/authz"] = Answer(bundle("a")[:50], '"e2"')
        rig.later()
        rig.later()
    assert rig.revisions == {"authz": "r1"}
    assert rig.status().last_request_at == at(START + 2000)
    assert rig.status().last_successful_request_at == at(START)
    assert server.sent_etags("/bundles/authz") == [None, '"e1"', '"e1"']


def test_changed_bundles_switch_together_and_a_bad_one_stays_behind(rig):
    with bundle_server(
        one=Answer(bundle("a")), two=Answer(bundle("b")), three=Answer(bundle("c"))
    ) as server:
        rig.build(sources(server.url, "one", "two", "three")).start()
        server.answers["/bundles/one"] = Answer(bundle("a", revision="r2"))
        server.answers["/bundles/two"] = Answer(archive({"p.rego": b"package b # bad"}))
        server.answers["/bundles/three"] = Answer(bundle("c", revision="r2"))
        rig.later()
    assert rig.revisions == {"one": "r2", "two": "r1", "three": "r2"}
    assert len(rig.activated) == 2
    assert rig.status("two").code == "bundle_error"
    assert rig.status("one").code == ""


def test_only_bundles_that_are_due_are_asked_for(rig):
    with bundle_server(one=Answer(bundle("a"))) as server:
        rig.build(sources(server.url, "one", "two")).start()
        assert rig.manager.due(), "the first retry of a failed one is immediate"
        rig.later(0)
        assert [path for path, _ in server.requests][2:] == ["/bundles/two"]
        assert rig.manager.seconds_until_due() == pytest.approx(0.16)
        rig.later(0.1)
        assert len(server.requests) == 3
        rig.later(90)
        assert len(server.requests) == 5


def test_the_next_request_is_due_after_the_drawn_delay(rig):
    with bundle_server(authz=Answer(bundle("a"))) as server:
        rig.build(sources(server.url, "authz")).start()
        assert rig.manager.seconds_until_due() == 90
        rig.now += 89
        assert not rig.manager.due()
        rig.now += 1
        assert rig.manager.due()


def signed(files, key=SECRET.key):
    payload = {"files": listed(files)}
    return archive({**files, ".signatures.json": signature_file(token(payload, secret=key))})


def test_only_signed_bundles_are_activated_where_signing_is_configured(rig):
    files = {"p.rego": module("a")}
    with bundle_server(
        good=Answer(signed(files)), forged=Answer(signed(files, "x")), bare=Answer(archive(files))
    ) as server:
        wanted = sources(server.url, "good", "forged", "bare", signing=Signing())
        rig.build(wanted, keys={"k": SECRET}).start()
    assert rig.revisions == {"good": ""}
    assert rig.status("forged").message == "failed to verify JWT signature"
    assert rig.status("bare").message == "bundle missing .signatures.json file"


def test_a_persisted_copy_serves_while_the_server_is_gone(rig, tmp_path):
    with bundle_server(authz=Answer(bundle("a", revision="r7"), '"e7"')) as server:
        wanted = sources(server.url, "authz", persist=True)
        rig.build(wanted).start()
    second = Rig(tmp_path).build(wanted)
    second.start()
    assert second.revisions == {"authz": "r7"}
    assert second.status().state is State.OK
    assert second.status().message.startswith("request failed: ")


def test_a_persisted_copy_is_confirmed_by_its_etag(rig, tmp_path):
    with bundle_server(authz=Answer(bundle("a"), '"e7"')) as server:
        wanted = sources(server.url, "authz", persist=True)
        rig.build(wanted).start()
        second = Rig(tmp_path).build(wanted)
        second.start()
    assert server.sent_etags("/bundles/authz") == [None, '"e7"']
    assert second.status().last_successful_request_at == at(START)
    assert len(second.activated) == 1


def test_only_what_was_activated_is_persisted(rig, tmp_path):
    bad = archive({"p.rego": b"package a # bad"})
    with bundle_server(authz=Answer(bundle("a"), '"e1"')) as server:
        wanted = sources(server.url, "authz", persist=True)
        rig.build(wanted).start()
        server.answers["/bundles/authz"] = Answer(bad, '"e2"')
        rig.later()
    second = Rig(tmp_path).build(wanted)
    second.start()
    assert second.revisions == {"authz": "r1"}


def test_bundles_that_ask_not_to_be_persisted_are_not(rig, tmp_path):
    with bundle_server(authz=Answer(bundle("a"))) as server:
        rig.build(sources(server.url, "authz")).start()
    assert list(tmp_path.iterdir()) == []


def test_a_corrupt_copy_is_set_aside_and_the_server_asked(rig, tmp_path, caplog):
    with bundle_server(authz=Answer(bundle("a"), '"e1"')) as server:
        wanted = sources(server.url, "authz", persist=True)
        rig.build(wanted).start()
        copy = tmp_path / "bundles" / "authz" / "bundle.tar.gz"
        copy.write_bytes(copy.read_bytes()[:60])
        second = Rig(tmp_path).build(wanted)
        second.start()
    assert second.revisions == {"authz": "r1"}
    assert server.sent_etags("/bundles/authz") == [None, None]
    assert "the copy on disk is set aside" in caplog.text


def test_a_tampered_copy_is_not_activated(rig, tmp_path):
    files = {"p.rego": module("a")}
    with bundle_server(authz=Answer(signed(files))) as server:
        wanted = sources(server.url, "authz", persist=True, signing=Signing())
        rig.build(wanted, keys={"k": SECRET}).start()
    (tmp_path / "bundles" / "authz" / "bundle.tar.gz").write_bytes(archive(files))
    second = Rig(tmp_path).build(wanted, keys={"k": SECRET})
    second.start()
    assert second.revisions is None


def test_local_bundles_are_loaded_once(rig, tmp_path):
    path = tmp_path / "policies" / "p.rego"
    path.parent.mkdir()
    path.write_bytes(module("a"))
    local = BundleSource("local", None, f"file://{path.parent}")
    missing = BundleSource("missing", None, f"file://{tmp_path}/missing")
    rig.build([local, missing]).start()
    assert rig.revisions == {"local": ""}
    assert "no such file" in rig.status("missing").message
    assert rig.manager.seconds_until_due() is None
    assert not rig.manager.due()
    path.write_bytes(module("b"))
    rig.later()
    assert len(rig.activated) == 1


def test_without_bundles_nothing_happens(rig):
    rig.build([]).start()
    assert rig.manager.snapshot is None
    assert rig.manager.seconds_until_due() is None


def test_refreshes_at_the_same_time_ask_once(rig):
    async def both():
        await asyncio.gather(rig.manager.refresh(5), rig.manager.refresh(5))

    with bundle_server(authz=Answer(bundle("a"))) as server:
        rig.build(sources(server.url, "authz")).start()
        rig.now += 1000
        asyncio.run(both())
    assert len(server.requests) == 2


def test_a_policy_whose_refresh_was_cancelled_is_closed(rig):
    async def cancelled():
        refresh = asyncio.ensure_future(rig.manager.refresh(5))
        await asyncio.to_thread(rig.engine.started.wait, 5)
        refresh.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await refresh
        rig.engine.may_finish.set()
        deadline = time.monotonic() + 5
        while not (rig.engine.compiled and rig.engine.compiled[0].closed):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.005)

    rig.engine.may_finish.clear()
    with bundle_server(authz=Answer(bundle("a"))) as server:
        rig.build(sources(server.url, "authz"))
        asyncio.run(cancelled())
        assert rig.manager.snapshot is None
        assert rig.manager.due()
        rig.later(0)
    assert rig.revisions == {"authz": "r1"}
