from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from policy_agent.decision_log import spool as spool_module
from policy_agent.decision_log.counters import Counters
from policy_agent.decision_log.record import frame
from policy_agent.decision_log.spool import Spool
from policy_agent.errors import DecisionLogError, SpoolFullError

ROOT = Path(__file__).parents[2]


def numbered(number, size_bytes=0):
    return json.dumps({"n": number, "pad": "x" * size_bytes}).encode()


def drain(spool, read_bytes=1 << 20):
    """Take everything out the way the shipper does; return the numbers."""
    numbers = []
    for segment in spool.shippable():
        while records := segment.read(read_bytes):
            for record in records:
                numbers.append(json.loads(record.event)["n"])
                spool.advance(segment, [record])
        spool.remove(segment)
    return numbers


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "deep" / "decision-logs"


@pytest.fixture
def open_spool(folder):
    with contextlib.ExitStack() as stack:

        def open_one(**settings):
            spool = Spool(folder, **settings)
            stack.callback(spool.close)
            return spool

        yield open_one


def left_behind(folder, *lines, name="00000000000000000001-1-aa.log"):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(b"".join(lines))
    return path


def test_events_come_back_in_order_and_leave_no_file(open_spool, folder):
    spool = open_spool()
    for number in range(100):
        spool.append(numbered(number))
    assert spool.backlog_events == 100
    assert drain(spool, read_bytes=300) == list(range(100))
    assert (spool.backlog_events, spool.size_bytes) == (0, 0)
    assert list(folder.iterdir()) == []


def test_nothing_is_created_before_the_first_event(open_spool, folder):
    spool = open_spool()
    spool.rotate()
    assert drain(spool) == []
    assert not folder.exists()


def test_files_are_private(open_spool, folder):
    open_spool().append(numbered(1))
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in folder.iterdir()] == [0o600]


def test_what_is_appended_while_shipping_waits_for_the_next_time(open_spool):
    spool = open_spool()
    spool.append(numbered(1))
    for segment in spool.shippable():
        spool.append(numbered(2))
        spool.advance(segment, segment.read(1000))
        spool.remove(segment)
    assert drain(spool) == [2]


def test_many_failed_attempts_do_not_make_many_segments(open_spool, folder):
    spool = open_spool()
    for number in range(20):
        spool.append(numbered(number))
        next(iter(spool.shippable()))
    assert len(list(folder.glob("*.log"))) <= 2
    assert drain(spool) == list(range(20))


def test_a_large_backlog_is_split_into_segments(open_spool, folder):
    spool = open_spool()
    size_bytes = spool_module.SEGMENT_BYTES // 4
    for number in range(10):
        spool.append(numbered(number, size_bytes))
    assert len(list(folder.glob("*.log"))) == 3
    assert drain(spool, read_bytes=1000) == list(range(10))


def test_a_full_spool_refuses_and_keeps_what_it_has(open_spool):
    spool = open_spool(limit_bytes=1000)
    for number in range(7):
        spool.append(numbered(number, 100))
    for _ in range(3):
        with pytest.raises(DecisionLogError, match=r"^decision log spool is full$"):
            spool.append(numbered(7, 100))
    assert drain(spool) == list(range(7))
    spool.append(numbered(1000))
    assert drain(spool) == [1000]


def test_dropping_the_oldest_makes_room_and_is_counted(open_spool):
    counters = Counters()
    spool = open_spool(limit_bytes=4000, drops_oldest=True, counters=counters)
    for number in range(100):
        spool.append(numbered(number, 100))
    assert spool.size_bytes <= 4000
    kept = drain(spool)
    assert kept == list(range(100 - len(kept), 100))
    assert len(kept) > 20
    assert counters.dropped_oldest == 100 - len(kept)


def test_an_event_larger_than_the_spool_is_refused_even_where_the_oldest_are_dropped(open_spool):
    spool = open_spool(limit_bytes=1000, drops_oldest=True)
    spool.append(numbered(1))
    with pytest.raises(SpoolFullError):
        spool.append(numbered(2, 1000))


def test_what_is_being_shipped_is_not_dropped(open_spool):
    counters = Counters()
    spool = open_spool(limit_bytes=1000, drops_oldest=True, counters=counters)
    for number in range(5):
        spool.append(numbered(number, 100))
    shipping = spool.shippable()
    segment = next(shipping)
    records = segment.read(1 << 20)
    for number in range(5, 40):
        spool.append(numbered(number, 100))
    spool.advance(segment, records)
    spool.remove(segment)
    assert json.loads(records[0].event)["n"] == 0
    assert drain(spool)[-1] == 39


def test_a_buffered_spool_counts_what_it_has_not_written_and_writes_in_order(open_spool, folder):
    spool = open_spool(is_buffered=True)
    for number in range(50):
        spool.append(numbered(number))
    assert (spool.backlog_events, folder.exists()) == (50, False)
    spool.write_out()
    assert spool.backlog_events == 50
    for number in range(50, 60):
        spool.append(numbered(number))
    assert drain(spool) == list(range(60))
    assert spool.backlog_events == 0


def test_a_buffered_spool_writes_when_much_has_gathered_and_at_its_end(open_spool, folder):
    spool = open_spool(is_buffered=True)
    for number in range(100):
        spool.append(numbered(number, 1000))
    assert folder.exists()
    spool.close()
    assert drain(open_spool()) == list(range(100))


def test_looking_at_what_waits_moves_nothing(open_spool):
    spool = open_spool()
    for number in range(20):
        spool.append(numbered(number))
    for _ in range(2):
        assert [json.loads(event)["n"] for event in spool.pending()] == list(range(20))
    assert drain(spool) == list(range(20))


def test_what_was_adopted_and_set_aside_counts_against_the_limit(open_spool, folder):
    left_behind(folder, frame(numbered(1, 400)))
    left_behind(folder, frame(numbered(2, 400)), name="0-1-aa.log.rejected")
    spool = open_spool(limit_bytes=1000)
    with pytest.raises(DecisionLogError, match="full"):
        spool.append(numbered(3, 300))


@contextlib.contextmanager
def largest_file(size_bytes):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_failed_write_is_an_error_and_leaves_only_whole_records(open_spool, folder):
    spool = open_spool()
    spool.append(numbered(1))
    with largest_file(2000), pytest.raises(DecisionLogError, match=r"\.log: cannot be written: "):
        spool.append(numbered(2, 4000))  # 2000 bytes of it reach the file first
    assert [path.read_bytes() for path in folder.iterdir()] == [frame(numbered(1))]
    spool.append(numbered(3))
    assert drain(spool) == [1, 3]


def test_a_write_that_always_fails_leaves_no_files(open_spool, folder):
    spool = open_spool()
    with largest_file(100):
        for number in range(5):
            with pytest.raises(DecisionLogError, match="cannot be written"):
                spool.append(numbered(number, 200))
    assert list(folder.iterdir()) == []


def test_a_directory_that_cannot_be_is_an_error_of_the_append(tmp_path):
    (tmp_path / "file").write_text("in the way")
    spool = Spool(tmp_path / "file" / "decision-logs")
    with pytest.raises(DecisionLogError, match="cannot hold the decision log: Not a directory"):
        spool.append(numbered(1))


@pytest.mark.parametrize(
    ("third", "numbers"),
    [
        pytest.param(frame(numbered(2))[:-1], [0, 1], id="cut before its line feed"),
        pytest.param(frame(numbered(2))[:5], [0, 1], id="cut in its checksum"),
        pytest.param(frame(numbered(2)).replace(b"2,", b"7,"), [0, 1], id="changed at the end"),
        pytest.param(b"\0" * 50 + b"\n" + frame(numbered(2)), [0, 1, 2], id="zeros before it"),
    ],
)
@pytest.mark.parametrize("read_bytes", [16, 100, 1 << 20])
def test_whole_records_of_a_damaged_segment_are_shipped_and_the_rest_set_aside(
    open_spool, folder, third, numbers, read_bytes
):
    path = left_behind(folder, frame(numbered(0)), frame(numbered(1)), third)
    counters = Counters()
    assert drain(open_spool(counters=counters), read_bytes) == numbers
    bad_line = third.splitlines()[0] + b"\n"
    assert [entry.name for entry in folder.iterdir()] == [path.name + ".corrupt"]
    assert path.with_name(path.name + ".corrupt").read_bytes() == bad_line
    assert counters.corrupt_set_aside == 1


def test_a_line_is_set_aside_once_and_leaves_the_backlog(open_spool, folder):
    left_behind(folder, b"garbage\n", frame(numbered(0)), frame(numbered(1)))
    spool = open_spool()
    segment = next(iter(spool.shippable()))
    first, second = segment.read(1000)
    spool.advance(segment, [first])
    assert spool.backlog_events == 1
    spool.advance(segment, [second])
    (aside,) = folder.glob("*.corrupt")
    assert aside.read_bytes() == b"garbage\n"


def test_a_segment_of_nothing_but_garbage_goes_away_and_is_kept_aside(open_spool, folder):
    path = left_behind(folder, b"no\nrecord\n" * 1000, b"at all")
    counters = Counters()
    assert drain(open_spool(counters=counters), 64) == []
    assert counters.corrupt_set_aside == 2001
    assert [entry.name for entry in folder.iterdir()] == [path.name + ".corrupt"]


def test_the_shipped_position_outlives_the_process(open_spool, folder):
    first = open_spool()
    for number in range(10):
        first.append(numbered(number))
    segment = next(iter(first.shippable()))
    first.advance(segment, segment.read(1 << 20)[:4])
    assert first.backlog_events == 6
    first.close()
    second = Spool(folder)
    assert second.backlog_events == 6
    assert drain(second) == [4, 5, 6, 7, 8, 9]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("offset", [b"", b"x", b"-5", b"3", b"99999", b"1" * 5000])
def test_a_wrong_offset_ships_again_rather_than_not_at_all(open_spool, folder, offset):
    path = left_behind(folder, frame(numbered(0)), frame(numbered(1)))
    path.with_name(path.name + ".offset").write_bytes(offset)
    assert drain(open_spool()) == [0, 1]


def test_an_offset_without_segment_is_tidied_away(open_spool, folder):
    path = left_behind(folder, b"00000000000000000012", name="1-1-aa.log.offset")
    open_spool()
    assert not path.exists()


def test_predecessors_are_shipped_before_ones_own(open_spool, folder):
    spool = open_spool()
    spool.append(numbered(3))
    spool.rotate()
    left_behind(folder, frame(numbered(2)), name="00000000000000000002-1-aa.log")
    left_behind(folder, frame(numbered(1)), name="00000000000000000001-1-aa.log")
    spool.adopt()
    assert drain(spool) == [1, 2, 3]


def test_a_crash_loop_does_not_use_up_the_file_descriptors(open_spool, folder):
    count = spool_module.MOST_CLOSED_SEGMENTS + 10
    for number in range(count):
        left_behind(folder, frame(numbered(number)), name=f"{number:020d}-1-aa.log")
    before = len(os.listdir("/proc/self/fd"))
    spool = open_spool()
    assert len(os.listdir("/proc/self/fd")) - before == spool_module.MOST_CLOSED_SEGMENTS
    numbers = drain(spool)
    spool.adopt()
    assert numbers + drain(spool) == list(range(count))


def test_a_link_in_place_of_a_segment_is_not_followed(open_spool, folder, tmp_path):
    (tmp_path / "elsewhere").write_bytes(frame(numbered(1)))
    folder.mkdir(parents=True)
    (folder / "1-1-aa.log").symlink_to(tmp_path / "elsewhere")
    left_behind(folder, frame(numbered(2)), name="2-1-aa.log")
    assert drain(open_spool()) == [2]
    assert (tmp_path / "elsewhere").exists()


CHILD = """
import json, os, sys
from pathlib import Path
from policy_agent.decision_log.spool import Spool

spool = Spool(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    spool.append(json.dumps({"n": number, "pad": "x" * (number % 700)}).encode())
    os.write(1, b"%d\\n" % number)
sys.stdin.read()
"""


@contextlib.contextmanager
def writer(folder, count):
    """Run a process that appends and acknowledges; it stays alive until killed."""
    command = [sys.executable, "-c", CHILD, str(folder), str(count)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)


def test_a_thousand_events_survive_sigkill_exactly(open_spool, folder):
    with writer(folder, 1000) as process:
        acknowledged = [int(process.stdout.readline()) for _ in range(1000)]
        process.send_signal(signal.SIGKILL)
        process.wait()
    spool = open_spool()
    assert spool.backlog_events == 1000
    assert drain(spool) == acknowledged == list(range(1000))


@pytest.mark.parametrize("kill_after", [1, 57, 400])
def test_what_was_acknowledged_when_killed_midway_is_shipped(open_spool, folder, kill_after):
    with writer(folder, 1_000_000) as process:
        for _ in range(kill_after):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.wait()
        late = process.stdout.read().split(b"\n")[:-1]
    acknowledged = kill_after + len(late)
    numbers = drain(open_spool())
    # The last append may have returned without the acknowledgement getting out.
    assert len(numbers) in (acknowledged, acknowledged + 1)
    assert numbers == list(range(len(numbers)))


def test_a_living_neighbours_segment_is_left_alone_until_it_dies(open_spool, folder):
    with writer(folder, 3) as process:
        for _ in range(3):
            process.stdout.readline()
        (theirs,) = folder.iterdir()
        spool = open_spool()
        spool.append(numbered(100))
        assert spool.backlog_events == 1
        assert drain(spool) == [100]
        assert list(folder.iterdir()) == [theirs]
        process.send_signal(signal.SIGKILL)
        process.wait()
        spool.adopt()
        assert drain(spool) == [0, 1, 2]
