import gzip
import json

import pytest

from policy_agent.auditor.ingest import MAX_TEXT_BYTES, Ingest, Settled
from policy_agent.auditor.quarantine import Quarantine
from policy_agent.auditor.spool import Spool
from policy_agent.auditor.store import AuditStore
from policy_agent.errors import AuditError
from tests.auditor.audit_process import body, event


class PowerCutError(Exception):
    """Ends the process of a test at a chosen place."""


class SpoolThatKeepsBodies(Spool):
    """A spool whose process dies after the commit and before the bodies are deleted."""

    def remove(self, names):
        if names:
            raise PowerCutError


class StoreThatFails(AuditStore):
    """A store whose process dies before the commit."""

    def append_batch(self, rows, sources):
        raise PowerCutError


@pytest.fixture
def run(tmp_path):
    """Ingest until nothing is left, in one process; returns what was counted and stored."""

    def run(*, spool_type=Spool, store_type=AuditStore):
        spool = spool_type(tmp_path / "spool")
        store = store_type.create(tmp_path)
        try:
            ingest = Ingest(spool, store, Quarantine(tmp_path / "quarantine"))
            while ingest.run_once():
                pass
            return ingest.settled, store.count()
        finally:
            store.close()
            spool.close()

    return run


@pytest.fixture
def receive(tmp_path):
    def receive(content, event_count, *, is_gzip=True):
        spool = Spool(tmp_path / "spool")
        try:
            return spool.add(content, event_count=event_count, is_gzip=is_gzip).name
        finally:
            spool.close()

    return receive


def quarantined(tmp_path):
    return [
        json.loads(line)
        for path in sorted((tmp_path / "quarantine").glob("*.ndjson"))
        for line in path.read_text().splitlines()
    ]


def test_good_entries_are_stored_and_bad_ones_are_kept_with_the_reason(tmp_path, run, receive):
    name = receive(body(event("d-1"), 5, event("d-2", timestamp="now"), event("d-3")), 4)
    receive(json.dumps([event("d-4")]).encode(), 1, is_gzip=False)
    assert run() == (Settled(stored=3, quarantined=2), 3)
    first, second = quarantined(tmp_path)
    assert first == {
        "source": name,
        "index": 1,
        "reason": "Expected `object`, got `int`",
        "entry": "5",
    }
    assert (second["index"], "RFC3339" in second["reason"]) == (2, True)
    assert json.loads(second["entry"])["decision_id"] == "d-2"


def test_a_body_that_went_bad_on_disk_is_kept_and_blocks_nothing(tmp_path, run, receive):
    content = body(event("d-1"), event("d-2"))[:-9]
    name = receive(content, 2)
    receive(body(event("d-3")), 1)
    assert run() == (Settled(stored=1, quarantined=2), 1)
    assert (tmp_path / "quarantine" / name).read_bytes() == content
    (line,) = quarantined(tmp_path)
    assert line["source"] == name
    assert "cut short" in line["reason"]


def test_dying_before_the_commit_loses_and_doubles_nothing(tmp_path, run, receive):
    receive(body(event("d-1"), 5, event("d-2")), 3)
    with pytest.raises(PowerCutError):
        run(store_type=StoreThatFails)
    assert run() == (Settled(stored=2, quarantined=1), 2)
    assert len(quarantined(tmp_path)) == 1


def test_dying_between_the_commit_and_the_deletion_is_noticed_by_the_marker(run, receive):
    receive(body(event("d-1"), event("d-2")), 2)
    with pytest.raises(PowerCutError):
        run(spool_type=SpoolThatKeepsBodies)
    receive(body(event("d-3")), 1)
    # Not even counted as duplicates: the body itself is known to be done.
    assert run() == (Settled(stored=1), 3)


def test_a_batch_ends_at_the_memory_limit_and_the_next_takes_the_rest(tmp_path, receive):
    large = json.dumps([event("d-1", input="x" * MAX_TEXT_BYTES)]).encode()
    receive(large, 1, is_gzip=False)
    receive(body(event("d-2")), 1)
    spool = Spool(tmp_path / "spool")
    with AuditStore.create(tmp_path) as store:
        ingest = Ingest(spool, store, Quarantine(tmp_path / "quarantine"))
        assert ingest.run_once()
        assert ingest.settled == Settled(stored=1)
        assert ingest.run_once()
        assert not ingest.run_once()
        assert ingest.settled == Settled(stored=2)
    spool.close()


def test_a_full_quarantine_disk_leaves_the_body_in_the_spool(tmp_path, run, receive):
    receive(gzip.compress(b"[5]"), 1)
    (tmp_path / "quarantine").write_bytes(b"")
    with pytest.raises(AuditError, match="quarantine"):
        run()
    (tmp_path / "quarantine").unlink()
    assert run() == (Settled(quarantined=1), 0)
