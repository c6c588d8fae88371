"""How old a bundle may be when it decides: served, waited for or refused."""

import asyncio
import time

import pytest

from policy_agent.bundle.manager import BundleManager
from policy_agent.bundle.schedule import Clock
from policy_agent.config import BundleSource, Delays, Freshness, Service
from tests.bundle.archives import bundle
from tests.bundle.engine import Engine
from tests.bundle.serving import Answer, bundle_server

START = 1_700_000_000.0


class Rig:
    """A manager of one bundle that may be 10 s old, and a clock for a test to move."""

    def __init__(self, directory, url, on_stale, wait_ms=2000):
        self.now = START
        self.engine = Engine()
        freshness = Freshness(10, on_stale, wait_ms)
        source = BundleSource(
            "main", Service("s", url), "bundles/main", Delays(600, 600), freshness=freshness
        )
        self.manager = BundleManager(
            {"main": source},
            keys={},
            persistence_directory=directory,
            compile_policy=self.engine.compile,
            activate=lambda snapshot: None,
            clock=Clock(lambda: self.now, lambda: 0.0, lambda low, high: low),
        )

    @property
    def revision(self):
        return self.manager.snapshot.revisions["main"]


@pytest.fixture
def server():
    with bundle_server(main=Answer(bundle("a", revision="r1"), '"1"')) as server:
        yield server


def publish(server, revision):
    server.answers["/bundles/main"] = Answer(bundle("a", revision=revision), f'"{revision}"')


def test_a_bundle_may_decide_until_its_age_is_up(server, tmp_path):
    async def scenario():
        rig = Rig(tmp_path, server.url, "deny", wait_ms=0)
        await rig.manager.start(5)
        rig.now += 10
        assert not rig.manager.is_stale()
        assert not rig.manager.due()
        rig.now += 1
        assert rig.manager.is_stale()
        assert rig.manager.due(), "what is too old is asked for, whatever its polling says"
        assert await rig.manager.freshen() == "bundle main is 11 s old, max_age_seconds is 10"
        await rig.manager.refresh(5)
        assert not rig.manager.is_stale(), "a 304 confirms it"

    asyncio.run(scenario())


def test_by_default_an_old_bundle_decides(server, tmp_path):
    async def scenario():
        rig = Rig(tmp_path, server.url, "serve")
        await rig.manager.start(5)
        rig.now += 10_000
        assert not rig.manager.is_stale()

    asyncio.run(scenario())


@pytest.mark.parametrize("on_stale", ["wait", "deny"])
def test_waiting_brings_the_newest_revision_once_for_all_who_wait(server, tmp_path, on_stale):
    async def scenario():
        rig = Rig(tmp_path, server.url, on_stale)
        await rig.manager.start(5)
        publish(server, "r2")
        rig.now += 3600
        asked = len(server.requests)
        assert await asyncio.gather(*(rig.manager.freshen() for _ in range(20))) == [""] * 20
        assert rig.revision == "r2"
        assert len(server.requests) == asked + 1

    asyncio.run(scenario())


def test_after_waiting_in_vain_wait_decides_by_what_there_is(server, tmp_path):
    async def scenario():
        rig = Rig(tmp_path, server.url, "wait", wait_ms=200)
        await rig.manager.start(5)
        server.answers["/bundles/main"] = Answer(fault="hang")
        rig.now += 60
        assert rig.manager.is_stale()
        assert await rig.manager.freshen() == ""
        assert rig.revision == "r1"

    asyncio.run(scenario())


def test_after_waiting_in_vain_deny_refuses_and_says_why(server, tmp_path):
    async def scenario():
        rig = Rig(tmp_path, server.url, "deny", wait_ms=200)
        await rig.manager.start(5)
        server.answers["/bundles/main"] = Answer(fault="hang")
        rig.now += 60
        started = time.monotonic()
        assert "main is 60 s old" in await rig.manager.freshen()
        assert time.monotonic() - started < 2
        server.answers["/bundles/main"] = Answer(status=500)
        await rig.manager.refresh(5)
        reason = await rig.manager.freshen()
        assert "(server replied with Internal Server Error)" in reason
        assert rig.revision == "r1"

    asyncio.run(scenario())


def test_a_copy_from_disk_is_of_unknown_age(server, tmp_path):
    async def scenario():
        await Rig(tmp_path, server.url, "deny").manager.start(5)
        server.answers.clear()
        rig = Rig(tmp_path, server.url, "deny")
        await rig.manager.start(5)
        assert rig.revision == "r1"
        assert "bundle main is of unknown age" in await rig.manager.freshen()

    asyncio.run(scenario())
