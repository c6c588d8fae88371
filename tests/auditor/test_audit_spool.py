import pytest

from policy_agent.auditor.spool import Spool, list_spool
from policy_agent.errors import AuditError


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "new" / "spool"


def test_bodies_come_out_in_the_order_of_their_arrival(directory):
    spool = Spool(directory)
    names = [spool.add(b"%d" % i, event_count=i, is_gzip=bool(i % 2)).name for i in range(1, 4)]
    assert [body.name for body in spool.oldest(2)] == names[:2]
    assert [spool.read(body) for body in spool.oldest(9)] == [b"1", b"2", b"3"]
    assert [body.is_gzip for body in spool.oldest(9)] == [True, False, True]
    spool.close()


def test_a_restart_finds_what_was_pending(directory):
    spool = Spool(directory)
    first = spool.add(b"one", event_count=3, is_gzip=True)
    second = spool.add(b"two", event_count=4, is_gzip=False)
    spool.remove([first.name, "unknown"])
    spool.close()
    again = Spool(directory)
    assert again.oldest(9) == list_spool(directory) == [second]
    assert again.pending_events == 4
    again.close()


def test_a_body_that_was_never_acknowledged_is_forgotten(directory):
    Spool(directory).close()
    unfinished = directory / ".partial-00000000000000000001-00000000-1.json"
    unfinished.write_bytes(b"[")
    spool = Spool(directory)
    assert spool.oldest(9) == []
    assert not unfinished.exists()
    spool.close()


def test_a_spool_has_one_owner(directory):
    spool = Spool(directory)
    with pytest.raises(AuditError, match="another"):
        Spool(directory)
    spool.close()
    Spool(directory).close()


def test_a_spool_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(AuditError, match="cannot use"):
        Spool(tmp_path / "file" / "spool")
    spool = Spool(tmp_path / "spool")
    (tmp_path / "spool").rename(tmp_path / "moved")
    with pytest.raises(AuditError, match="cannot write"):
        spool.add(b"[]", event_count=1, is_gzip=False)
    spool.close()


def test_no_directory_is_an_empty_spool(tmp_path):
    assert list_spool(tmp_path / "none") == []
