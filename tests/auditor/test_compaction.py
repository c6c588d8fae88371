"""Small files become large ones, days go, and what the store proves stays the same."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from datetime import UTC, date, datetime, timedelta

import pytest

from policy_agent.audit_chain import ChainKey
from policy_agent.auditor import collector, compaction
from policy_agent.auditor.expiry import expire_old_snapshots
from policy_agent.auditor.extract import extract_row
from policy_agent.auditor.file_io import local_path
from policy_agent.auditor.heads import HEADS_FILE
from policy_agent.auditor.store import AuditStore
from policy_agent.auditor.table import to_arrow
from policy_agent.cli import main
from policy_agent.decision_log.numbering import Numbering
from policy_agent.errors import AuditError
from tests.auditor.audit_process import event

KEY = b"a secret of the platform team"
START = datetime(2026, 11, 21, 23, 59, 40, tzinfo=UTC)


def stream(name, count, *, step_seconds=1, closed=True):
    """Return the rows of one agent, from shortly before midnight on."""
    numbering = Numbering(ChainKey(KEY))
    rows = []
    for number in range(1, count + closed + 1):
        closing = number > count
        at = START + timedelta(seconds=step_seconds * number)
        fields: dict[str, object] = {"timestamp": at.isoformat()}
        if closing:
            fields |= dict.fromkeys(("path", "input", "result", "bundles", "requested_by"))
        facts = {"closing": True, "last_seq": count} if closing else {}
        link = numbering.link(event(f"{name}-{number}", **fields), **facts)
        numbering.accept(link)
        rows.append(extract_row(link.raw, "body"))
    return rows


def in_small_files(directory, *streams, rows_a_file=16):
    """Store rows in many commits, and so in many files."""
    with AuditStore.create(directory) as store:
        rows = [row for rows in streams for row in rows]
        for start in range(0, len(rows), rows_a_file):
            store.append_batch(rows[start : start + rows_a_file], [f"body-{start}"])


def data_files(directory):
    return sorted((directory / "warehouse").rglob("*.parquet"))


def live_files(directory):
    with AuditStore(directory) as store:
        return {local_path(task.file.file_path) for task in store._table.scan().plan_files()}


def events_of(directory):
    with AuditStore(directory) as store:
        return [(row.instance, row.seq, row.event) for row in store.streams(None, None, [])]


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "key").write_bytes(KEY)
    return tmp_path / "store"


@pytest.fixture
def audit(directory, capsys):
    def run(command, *arguments):
        status = main(["audit", command, "--dir", str(directory), *arguments])
        return status, capsys.readouterr().out

    return run


@pytest.fixture
def verify(audit, tmp_path):
    def run(*arguments):
        key = ["--audit-key-file", str(tmp_path / "key"), "--format", "json"]
        _, told = audit("verify", *key, *arguments)
        body = json.loads(told)
        found = [(each["kind"], each["first_seq"], each["last_seq"]) for each in body["findings"]]
        return found, body["summary"]

    return run


def test_many_files_become_one_a_day_with_every_row_as_it_was(directory, audit, verify):
    in_small_files(directory, stream("a", 40), stream("b", 21, closed=False))
    before, verified = events_of(directory), verify()
    assert len(live_files(directory)) > 4
    status, told = audit("compact")
    assert status == 0
    assert f"became=2 rows={len(before)} busy=0" in told
    assert len(live_files(directory)) == 2
    assert events_of(directory) == before
    assert verify() == verified == ([], verified[1])
    assert audit("compact")[1].startswith("files=0 became=0")


def test_what_was_tampered_with_is_found_after_compaction_as_before(directory, verify, audit):
    rows = stream("a", 30)
    del rows[9:11]
    rows[20] = rows[20].__class__(**{
        **{name: getattr(rows[20], name) for name in rows[20].__slots__}, "subject": "mallory"
    })  # fmt: skip
    twice = extract_row(json.dumps({**json.loads(rows[4].event), "decision_id": "x"}).encode(), "b")
    in_small_files(directory, [*rows, twice])
    before = verify()
    assert {kind for kind, *_ in before[0]} == {"gap", "altered", "duplicate"}
    audit("compact")
    assert verify() == before


def test_files_that_were_replaced_go_when_nobody_can_read_them(directory, audit):
    in_small_files(directory, stream("a", 40))
    audit("compact")
    in_small_files(directory, stream("later", 3))
    assert len(data_files(directory)) > len(live_files(directory))
    with AuditStore(directory) as store:
        expire_old_snapshots(store._table, most=1, kept=2)
    assert set(data_files(directory)) == live_files(directory)


def test_what_a_crash_has_left_goes_after_a_day(directory, audit):
    in_small_files(directory, stream("a", 3))
    [folder] = {path.parent for path in data_files(directory)}
    old, young = folder / "old.parquet", folder / "young.parquet"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 90_000,) * 2)
    assert audit("compact")[1].endswith("orphans=1\n")
    assert (old.exists(), young.exists()) == (False, True)


def test_a_file_that_does_not_hold_what_it_should_is_not_used(directory, monkeypatch):
    in_small_files(directory, stream("a", 20))
    before = events_of(directory), data_files(directory)
    write = compaction.__dict__["_dataframe_to_data_files"]

    def lose_a_row(metadata, rows, *arguments, **settings):
        return write(metadata, rows.slice(1), *arguments, **settings)

    monkeypatch.setattr(compaction, "_dataframe_to_data_files", lose_a_row)
    with AuditStore(directory) as store, pytest.raises(AuditError, match="does not hold what"):
        store.compact()
    assert (events_of(directory), data_files(directory)) == before


def test_decisions_that_are_stored_meanwhile_are_all_there(directory, verify):
    in_small_files(directory, stream("a", 40))
    rows = stream("b", 60)
    failures = []

    def append():
        try:
            in_small_files(directory, rows, rows_a_file=12)
        except AuditError as exc:
            failures.append(exc)

    appending = threading.Thread(target=append)
    appending.start()
    with AuditStore(directory) as store:
        while appending.is_alive():
            store.compact()
        store.compact()
    appending.join()
    assert failures == []
    found, summary = verify()
    assert (found, summary["events"], summary["closed"]) == ([], 41 + 61, 2)
    assert len(live_files(directory)) <= 2


def test_the_receiver_compacts_by_itself(directory, monkeypatch):
    monkeypatch.setattr(collector, "_COMMITS_PER_COMPACTION", 3)
    monkeypatch.setattr(collector, "_LEAST_FILES", 3)

    async def receive():
        receiver = collector.Collector(directory, commit_seconds=0)
        running = asyncio.create_task(receiver.run())
        for row in stream("a", 2, step_seconds=0):
            await receiver.accept(f"[{row.event}]".encode(), is_gzip=False)
            while receiver.stats().pending:
                await asyncio.sleep(0.01)
        receiver.stop()
        await running
        receiver.close()

    asyncio.run(receive())
    assert len(events_of(directory)) == 3
    assert (len(live_files(directory)), len(data_files(directory))) == (1, 4)


KILLED_AFTER = """
import os, signal, sys
from policy_agent.auditor import {module} as module
from policy_agent.cli import main
original = module.{function}
def deadly(*arguments):
    original(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
module.{function} = deadly
main(sys.argv[1:])
"""


def killed_after(module, function, *command):
    script = KILLED_AFTER.format(module=module, function=function)
    run = subprocess.run([sys.executable, "-c", script, *command], check=False)
    assert run.returncode == -signal.SIGKILL


@pytest.mark.parametrize("function", ["_rewrite", "exchange"])
def test_a_kill_during_compaction_changes_nothing(directory, audit, verify, function):
    in_small_files(directory, stream("a", 20), stream("b", 5))
    before, verified = events_of(directory), verify()
    killed_after("compaction", function, "audit", "compact", "--dir", str(directory))
    assert (events_of(directory), verify()) == (before, verified)
    assert audit("compact")[0] == 0
    assert (events_of(directory), verify()) == (before, verified)


A_DAY = 24 * 3600


def three_days(directory):
    """Three streams: through all days, of the first alone, and begun on the second."""
    long = stream("long", 12, step_seconds=A_DAY // 4)
    short = stream("short", 5)
    late = stream("late", 12, step_seconds=A_DAY // 4)
    in_small_files(directory, long, short, late, rows_a_file=100)
    return long


def test_old_days_go_and_the_rest_is_proven(directory, audit, verify):
    three_days(directory)
    found, whole = verify()
    assert (found, whole["streams"]) == ([], 3)
    status, told = audit("expire", "--before", "2026-11-24")
    assert (status, told.split()[2]) == (0, "runs=3")
    with AuditStore(directory) as store:
        rows = store.query(limit=1000)
    assert min(row.timestamp for row in rows).date() == date(2026, 11, 24)
    found, summary = verify()
    assert (found, summary["streams"], summary["closed"]) == ([], 2, 2)
    assert summary["events"] + summary["dropped"] == whole["events"]
    assert set(data_files(directory)) == live_files(directory)


def test_days_that_go_one_after_the_other_are_linked(directory, audit, verify):
    three_days(directory)
    events = verify()[1]["events"]
    for day in ("2026-11-22", "2026-11-23", "2026-11-23", "2026-11-24"):
        assert audit("expire", "--before", day)[0] == 0
        found, summary = verify()
        assert (found, summary["events"] + summary["dropped"]) == ([], events)


def tamper(directory, change):
    with AuditStore(directory) as store:
        kept = [row for row in store.streams(None, None, []) if change(row)]
        store._table.overwrite(to_arrow(kept, store._table.schema().as_arrow()))


@pytest.mark.parametrize(
    ("lost", "expected"),
    [
        pytest.param(range(9, 10), ("gap", 9, 9), id="the first that was kept"),
        pytest.param(range(11, 12), ("gap", 11, 11), id="in the middle"),
        pytest.param(range(12, 14), ("truncated", 12, 13), id="the end"),
        pytest.param(range(13, 14), ("missing-close", 13, 13), id="the closing record"),
    ],
)
def test_what_is_lost_of_the_rest_is_found(directory, audit, verify, lost, expected):
    [instance] = {row.instance for row in three_days(directory)}
    audit("expire", "--before", "2026-11-24")
    tamper(directory, lambda row: row.instance != instance or row.seq not in lost)
    found, _ = verify()
    assert found == [expected]


def test_a_rest_that_does_not_follow_what_was_dropped_is_found(directory, audit, verify):
    [instance] = {row.instance for row in three_days(directory)}
    audit("expire", "--before", "2026-11-24")
    with sqlite3.connect(directory / HEADS_FILE) as connection:
        sql = "UPDATE dropped SET chain = 'another' WHERE instance = ?"
        assert connection.execute(sql, (instance,)).rowcount == 1
    assert [kind for kind, *_ in verify()[0]] == ["wrong-order"]


def test_without_the_witness_the_heads_are_missing(directory, audit, verify):
    three_days(directory)
    audit("expire", "--before", "2026-11-24")
    (directory / HEADS_FILE).unlink()
    assert {kind for kind, *_ in verify()[0]} == {"missing-head"}


@pytest.mark.parametrize("function", ["note_dropped", "exchange"])
def test_a_kill_during_expiry_is_made_good_by_doing_it_again(directory, audit, verify, function):
    three_days(directory)
    events = verify()[1]["events"]
    command = ["audit", "expire", "--dir", str(directory), "--before", "2026-11-23"]
    killed_after("retention", function, *command)
    found, summary = verify()
    assert (found, summary["events"] + summary["dropped"]) == ([], events)
    assert audit("expire", "--before", "2026-11-23")[0] == 0
    found, summary = verify()
    assert (found, summary["events"] + summary["dropped"]) == ([], events)


@pytest.mark.parametrize("day", ["yesterday", "2999-01-01"])
def test_only_days_of_the_past_can_be_dropped(directory, day, capsys):
    assert main(["audit", "expire", "--dir", str(directory), "--before", day]) == 1
    assert "--before" in capsys.readouterr().err
