"""The spool on disks that lose, change and refuse bytes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import subprocess

import pytest

from policy_agent.config import DecisionLogs, Service
from policy_agent.decision_log.counters import Counters
from policy_agent.decision_log.log import DecisionLog
from policy_agent.decision_log.record import frame
from policy_agent.decision_log.spool import Spool
from policy_agent.errors import DecisionLogError

NAME = "00000000000000000001-1-aa.log"
LINES = [frame(json.dumps({"n": number, "pad": "é\\n"}).encode()) for number in range(3)]
SEGMENT = b"".join(LINES)
OFFSET = b"%020d %020d" % (len(LINES[0]), len(LINES[0]) + len(LINES[1]))


def drained(folder, segment, offset=None):
    """Ship what a dead agent has left; return the numbers, what was set aside, and its count."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / NAME).write_bytes(segment)
    if offset is not None:
        (folder / (NAME + ".offset")).write_bytes(offset)
    counters = Counters()
    spool = Spool(folder, counters=counters)
    events = []
    for each in spool.shippable():
        while records := each.read(1 << 20):
            events += [record.event for record in records]
            spool.advance(each, records)
        spool.remove(each)
    assert spool.backlog_events == 0
    spool.close()
    assert not list(folder.glob("*.log")) + list(folder.glob("*.offset"))
    aside = b"".join(path.read_bytes() for path in folder.glob("*.corrupt"))
    assert counters.corrupt_set_aside == aside.count(b"\n")
    return [json.loads(event)["n"] for event in events], aside


def test_a_segment_cut_at_any_byte_gives_its_whole_records_and_keeps_the_rest_aside(tmp_path):
    ends = [len(b"".join(LINES[: count + 1])) for count in range(len(LINES))]
    for cut in range(len(SEGMENT) + 1):
        whole = [number for number, end in enumerate(ends) if end <= cut]
        rest = SEGMENT[ends[len(whole) - 1] if whole else 0 : cut]
        expected_aside = rest + b"\n" if rest else b""
        assert drained(tmp_path / "spool", SEGMENT[:cut]) == (whole, expected_aside), cut


def test_a_byte_that_changes_anywhere_costs_no_other_record(tmp_path):
    for at in range(len(SEGMENT)):
        changed = bytearray(SEGMENT)
        changed[at] ^= 0x41
        numbers, aside = drained(tmp_path / "spool", bytes(changed))
        hit = SEGMENT[: at + 1].count(b"\n") - (SEGMENT[at : at + 1] == b"\n")
        # A lost line feed takes the next record with it; that one is kept aside, too.
        lost = {hit, hit + 1} if SEGMENT[at : at + 1] == b"\n" else {hit}
        assert set(numbers) == {0, 1, 2} - lost, at
        assert aside.replace(b"\n", b"") in bytes(changed).replace(b"\n", b"")


def test_a_position_cut_at_any_byte_ships_again_rather_than_not_at_all(tmp_path):
    for cut in range(len(OFFSET)):
        numbers, _ = drained(tmp_path / "spool", SEGMENT, OFFSET[:cut])
        assert numbers in ([0, 1, 2], [1, 2]), cut


@pytest.fixture
def open_log(receiver):
    with contextlib.ExitStack() as stack:

        def begin(directory):
            config = DecisionLogs(Service("r", receiver.url))
            decision_log = DecisionLog(config, {"id": "1"}, directory)
            stack.callback(decision_log.close)
            return decision_log

        yield begin


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB, which takes root to make."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_on_a_disk_that_is_full_nothing_is_half_recorded_and_shipping_makes_room(
    small_disk, receiver, decide, policy_of, open_log
):
    decision_log = open_log(directory=small_disk)
    recorded = refused = 0
    problems = set()
    with contextlib.suppress(OSError):
        (small_disk / "other").write_bytes(bytes(20_000))
    for _ in range(3):  # full, shipped, full again
        while True:
            try:
                decision_log.record(decide(), policy_of({}))
            except DecisionLogError as exc:
                problems.add(str(exc).rpartition(": ")[2])
                refused += 1
                break
            recorded += 1
        for _ in range(5):
            with pytest.raises(DecisionLogError):
                decision_log.record(decide(), policy_of({}))
            refused += 1
        report = asyncio.run(decision_log.flush(10))
        assert (report.left, report.error) == (0, None)
    assert problems == {"No space left on device"}
    seqs = [event["custom"]["audit"]["seq"] for event in receiver.accepted]
    assert seqs == list(range(1, recorded + 1))
    assert recorded > 30
    counters = decision_log.status.counters
    assert (counters["recorded"], counters["refused"]) == (recorded, refused)


def test_two_agents_on_one_disk_ship_all_of_both_once(
    tmp_path, receiver, decide, policy_of, open_log
):
    first, second = (open_log(directory=tmp_path / "shared") for _ in range(2))
    for decision_log in (first, second, first, second, second):
        decision_log.record(decide(), policy_of({}))
    assert asyncio.run(second.flush(10)).shipped == 3
    first.close()  # what it had is the other's from now on
    second.record(decide(), policy_of({}))
    assert asyncio.run(second.flush(10)).shipped == 3
    streams = {}
    for event in receiver.accepted:
        audit = event["custom"]["audit"]
        streams.setdefault(audit["instance"], []).append(audit["seq"])
    assert sorted(streams.values()) == [[1, 2], [1, 2, 3, 4]]
