"""What can go wrong on the agent's own machine: no origin, the disk, the clock, a neighbour."""

import asyncio
import subprocess
import sys

import pytest

from policy_agent.bundle.manager import BundleManager
from policy_agent.bundle.schedule import Clock
from policy_agent.config import BundleSource, Delays, Service
from policy_agent.status import State
from tests.bundle.archives import bundle
from tests.bundle.serving import Answer, bundle_server
from tests.bundle.test_bundle_manager import Rig, sources


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path)


def test_an_origin_that_is_down_at_init_is_told_and_asked_again_at_once(rig, unused_port):
    rig.build(sources(f"http://127.0.0.1:{unused_port}", "authz")).start()
    status = rig.status()
    assert status.state is State.NOT_READY
    assert status.message == f"request failed: 127.0.0.1:{unused_port}: connection refused"
    assert rig.manager.due()


# Writes of more than 100 bytes fail in this process, as on a disk that is full. Byte code that it
# wrote of a module would be cut as well, and break every other process; hence -B.
FULL_DISK = """
import asyncio, json, resource, sys
from pathlib import Path
from policy_agent.bundle.manager import BundleManager
from policy_agent.config import BundleSource, Delays, Service
from policy_agent.rego import Policy
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
source = BundleSource("authz", Service("s", sys.argv[1]), "bundles/authz", Delays(60, 120))
manager = BundleManager({"authz": source}, keys={}, persistence_directory=Path(sys.argv[2]),
                        compile_policy=Policy.from_modules, activate=lambda snapshot: None)
asyncio.run(manager.start(5))
print(json.dumps([manager.snapshot.policy.evaluate("a/allow"),
                  manager.statuses["authz"].to_json()]))
"""


def test_a_full_disk_is_told_and_costs_no_decision(tmp_path):
    with bundle_server(authz=Answer(bundle("a"), '"1"')) as server:
        done = subprocess.run(
            [sys.executable, "-B", "-c", FULL_DISK, server.url, str(tmp_path)],
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stdout.startswith("[true, ")
    message = "the copy on disk cannot be written: file too large"
    assert f'"persistence": {{"message": "{message}"}}' in done.stdout
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_corrupt_copy_is_told_until_there_is_a_good_one(rig, tmp_path):
    with bundle_server(authz=Answer(bundle("a"), '"1"')) as server:
        wanted = sources(server.url, "authz", persist=True)
        rig.build(wanted).start()
        copy = tmp_path / "bundles" / "authz" / "bundle.tar.gz"
        copy.write_bytes(copy.read_bytes()[:60])
        server.answers["/bundles/authz"] = Answer(status=500)
        second = Rig(tmp_path).build(wanted)
        second.start()
        assert second.revisions is None
        told = second.status().to_json()["persistence"]["message"]
        assert told.startswith("the copy on disk is set aside: bundle read failed")
        server.answers["/bundles/authz"] = Answer(bundle("a"), '"1"')
        second.later(0)
    assert "persistence" not in second.status().to_json()
    assert copy.read_bytes() == server.answers["/bundles/authz"].body


@pytest.mark.parametrize(
    ("wall", "monotonic", "due"),
    [
        pytest.param(-86400, 200, True, id="wall clock set back, time has passed"),
        pytest.param(-86400, 10, False, id="wall clock set back just now"),
        pytest.param(86400, 0, True, id="a day's freeze that only the wall clock saw"),
        pytest.param(0, 86400, True, id="a wall clock that stood still"),
    ],
)
def test_a_bundle_is_due_whatever_one_clock_says(tmp_path, wall, monotonic, due):
    now = {"wall": 1_700_000_000.0, "monotonic": 1000.0}
    with bundle_server(authz=Answer(bundle("a"), '"1"')) as server:
        source = BundleSource("authz", Service("s", server.url), "bundles/authz", Delays(60, 120))
        manager = BundleManager(
            {"authz": source},
            keys={},
            persistence_directory=tmp_path,
            compile_policy=Rig(tmp_path).engine.compile,
            activate=lambda snapshot: None,
            clock=Clock(lambda: now["wall"], lambda: now["monotonic"], lambda low, high: high),
        )
        asyncio.run(manager.start(5))
        now["wall"] += wall
        now["monotonic"] += monotonic
        assert manager.due() is due
        asyncio.run(manager.refresh(5))
    assert len(server.requests) == 1 + due
    assert manager.statuses["authz"].code == ""


def test_agents_that_share_a_directory_start_from_a_whole_copy(tmp_path):
    """Several agents refresh and restart over one directory while versions come and go."""

    async def one_agent(server, number):
        for attempt in range(4):
            rig = Rig(tmp_path).build(sources(server.url, "authz", persist=True))
            await rig.manager.start(5)
            assert rig.revisions, rig.status().message
            assert rig.status().copy_problem == ""
            revision = f"r{number}.{attempt}"
            server.answers["/bundles/authz"] = Answer(
                bundle("a", revision=revision), f'"{revision}"'
            )
            rig.now += 1000
            await rig.manager.refresh(5)
            active = rig.manager._slots["authz"].active
            about = rig.manager.snapshot.policy.evaluate("data")["system"]["bundles"]["authz"]
            assert about["manifest"]["revision"] == active.manifest.revision
            assert active.etag in (None, f'"{active.manifest.revision}"')

    async def all_agents(server):
        await asyncio.gather(*(one_agent(server, number) for number in range(4)))

    with bundle_server(authz=Answer(bundle("a"), '"r1"')) as server:
        asyncio.run(all_agents(server))
    assert not list(tmp_path.rglob("*.refused"))
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]
