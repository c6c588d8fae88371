import json
from datetime import UTC, datetime, timedelta

import pytest

from policy_agent.auditor.expiry import MAX_SNAPSHOTS
from policy_agent.auditor.extract import extract_row
from policy_agent.auditor.filters import Filters
from policy_agent.auditor.row import ResultKind
from policy_agent.auditor.store import AppendResult, AuditStore
from policy_agent.errors import AuditError
from tests.auditor.audit_process import event

START = datetime(2026, 11, 20, 23, 59, 58, tzinfo=UTC)


def row(decision_id, *, at=START, source="body-1", **fields):
    raw = json.dumps(event(decision_id, timestamp=at.isoformat(), **fields)).encode()
    return extract_row(raw, source)


@pytest.fixture
def store(tmp_path):
    with AuditStore.create(tmp_path / "a store") as store:
        yield store


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Six decisions, one second apart across midnight, in two commits."""
    with AuditStore.create(tmp_path_factory.mktemp("filled")) as store:
        seconds = [START + timedelta(seconds=i) for i in range(6)]
        rows = [
            row("d-0", at=seconds[0]),
            row("d-1", at=seconds[1], input={"user": "bob"}, result=False),
            row("d-2", at=seconds[2], labels={"app": "billing"}, result=None),
            row("d-3", at=seconds[3], path="billing/allow", result={"x": 1}),
            row("d-4", at=seconds[4], bundles={"orders": {"revision": "r2"}, "b": {}}),
            row("d-5", at=seconds[5], error={"code": "c", "message": "m"}, bundles=None),
        ]
        store.append_batch(rows[:3], ["body-1"])
        store.append_batch(rows[3:], ["body-2"])
        yield store


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        pytest.param(Filters(), "543210", id="all, newest first"),
        pytest.param(Filters(since=START + timedelta(seconds=4)), "54", id="since"),
        pytest.param(Filters(until=START + timedelta(seconds=2)), "10", id="until"),
        pytest.param(Filters(function="billing"), "2", id="function"),
        pytest.param(Filters(subject="bob"), "1", id="subject"),
        pytest.param(Filters(path="billing/allow"), "3", id="path"),
        pytest.param(Filters(result=ResultKind.ALLOW), "40", id="allow"),
        pytest.param(Filters(result=ResultKind.DENY), "1", id="deny"),
        pytest.param(Filters(result=ResultKind.UNDEFINED), "2", id="undefined"),
        pytest.param(Filters(result=ResultKind.OTHER), "3", id="other"),
        pytest.param(Filters(result=ResultKind.ERROR), "5", id="error"),
        pytest.param(Filters(revision="r2"), "4", id="revision"),
        pytest.param(Filters(revision="orders=r1"), "3210", id="revision of a bundle"),
        pytest.param(Filters(revision="r"), "", id="part of a revision"),
        pytest.param(Filters(decision_id="d-3"), "3", id="decision id"),
        pytest.param(Filters(subject="alice", result=ResultKind.ALLOW), "40", id="both"),
        pytest.param(Filters(since=START + timedelta(days=9)), "", id="no file"),
    ],
)
def test_filters(filled, filters, found):
    assert [decision.decision_id for decision in filled.query(filters)] == [f"d-{i}" for i in found]
    assert filled.count(filters) == len(found)


HOSTILE = "' OR true --"


@pytest.mark.parametrize(
    "filters",
    [
        pytest.param(Filters(function=HOSTILE), id="function"),
        pytest.param(Filters(subject=HOSTILE), id="subject"),
        pytest.param(Filters(path=HOSTILE), id="path"),
        pytest.param(Filters(revision=HOSTILE), id="revision"),
        pytest.param(Filters(decision_id=HOSTILE), id="decision id"),
    ],
)
def test_a_filter_is_a_value_and_never_sql(filled, filters):
    assert filled.query(filters) == []


def test_the_limit_keeps_the_newest(filled):
    assert [decision.decision_id for decision in filled.query(limit=2)] == ["d-5", "d-4"]


def test_a_row_comes_back_as_it_was(filled):
    (found,) = filled.query(Filters(decision_id="d-4"))
    bundles = {"orders": {"revision": "r2"}, "b": {}}
    assert found == row("d-4", at=START + timedelta(seconds=4), bundles=bundles, source="body-1")


def test_a_second_reader_sees_each_commit(store, tmp_path):
    with AuditStore(tmp_path / "a store") as reader:
        assert reader.query() == []
        assert reader.count() == 0
        store.append_batch([row("d-1")], ["body-1"])
        assert reader.count() == 1


def test_a_decision_is_stored_once_however_often_it_comes(store):
    days = [START + timedelta(days=i) for i in range(3)]
    first = [row(f"d-{i}", at=at) for i, at in enumerate(days)]
    again = [row(f"d-{i}", at=at, source="body-2") for i, at in enumerate(days)]
    assert store.append_batch([first[0], first[0], first[1]], ["body-1"]) == AppendResult(2, 1)
    assert store.append_batch([*again, first[2]], ["body-2"]) == AppendResult(1, 3)
    assert [decision.source for decision in store.query()] == ["body-2", "body-1", "body-1"]


def test_a_decision_delivered_again_after_years_is_still_known(store):
    old = row("old", at=START - timedelta(days=3650))
    store.append_batch([old], ["body-1"])
    recent = [row(f"d-{i}", at=START + timedelta(days=i)) for i in range(40)]
    store.append_batch(recent, ["body-2"])
    assert store.append_batch([old, row("new")], ["body-3"]) == AppendResult(1, 1)
    assert store.append_batch([old, *recent], ["body-4"]) == AppendResult(0, 41)


def test_the_first_copy_wins_and_another_time_is_another_decision(store):
    store.append_batch([row("d-1", result=False)], ["body-1"])
    changed = row("d-1", result=True)
    later = row("d-1", at=START + timedelta(microseconds=1))
    assert store.append_batch([changed, later], ["body-2"]) == AppendResult(1, 1)
    assert [decision.result for decision in store.query()] == ["allow", "deny"]


@pytest.mark.parametrize(
    "at",
    [
        pytest.param(datetime(1, 1, 1, tzinfo=UTC), id="zero time of Go"),
        pytest.param(datetime(9999, 12, 31, 23, 59, 59, 999999, UTC), id="last"),
        pytest.param(datetime(1969, 12, 31, 23, 59, 59, 999999, UTC), id="before the epoch"),
    ],
)
def test_any_time_can_be_stored(store, at):
    assert store.append_batch([row("d-1", at=at)], ["body-1"]) == AppendResult(1, 0)
    assert store.append_batch([row("d-1", at=at)], ["body-1"]) == AppendResult(0, 1)
    assert [decision.timestamp for decision in store.query()] == [at]


def test_the_sources_are_committed_with_the_rows(store, tmp_path):
    assert store.committed_sources() == frozenset()
    store.append_batch([row("d-1")], ["body-1", "body-2"])
    with AuditStore(tmp_path / "a store") as reopened:
        assert reopened.committed_sources() == {"body-1", "body-2"}
    store.append_batch([], ["body-3"])
    assert store.committed_sources() == {"body-1", "body-2"}


def test_snapshots_and_their_files_stay_few(store, tmp_path):
    commits = MAX_SNAPSHOTS + 2
    for i in range(commits):
        store.append_batch([row(f"d-{i}")], [f"body-{i}"])
    metadata = list((tmp_path / "a store").rglob("metadata/*"))
    lists = [path for path in metadata if path.name.startswith("snap-")]
    assert len(lists) < MAX_SNAPSHOTS
    assert store.count() == commits
    with AuditStore(tmp_path / "a store") as reader:
        assert reader.count() == commits


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        pytest.param("none", "no such directory", id="no directory"),
        pytest.param("empty", "holds no audit store", id="no store"),
    ],
)
def test_a_store_that_is_not_there_is_not_an_empty_store(tmp_path, name, reason):
    (tmp_path / "empty").mkdir()
    with pytest.raises(AuditError, match=reason):
        AuditStore(tmp_path / name)
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_path_that_an_engine_would_misread_is_refused(tmp_path):
    with pytest.raises(AuditError, match=r"must not contain \*"):
        AuditStore.create(tmp_path / "a*b")


def test_a_damaged_catalog_is_our_error(tmp_path):
    (tmp_path / "catalog.db").write_bytes(b"not SQLite" * 1000)
    with pytest.raises(AuditError, match="cannot open"):
        AuditStore(tmp_path)
    with pytest.raises(AuditError, match="cannot create"):
        AuditStore.create(tmp_path)
