import io
import tarfile

from policy_agent.publisher.archive import pack

FILES = {"b/policy.rego": b"package b\n", "a.json": b"{}", "long/" * 30 + "name.rego": b"package c"}


def test_packing_equal_files_gives_equal_bytes_whatever_their_order():
    assert pack(FILES) == pack(dict(reversed(FILES.items())))


def test_an_archive_holds_the_files_and_nothing_of_the_machine():
    with tarfile.open(fileobj=io.BytesIO(pack(FILES))) as tar:
        entries = tar.getmembers()
        contents = {entry.name: tar.extractfile(entry).read() for entry in entries}
    assert contents == FILES
    assert list(contents) == sorted(FILES)
    assert {(e.mtime, e.uid, e.gid, e.uname, e.gname, e.mode) for e in entries} == {
        (0, 0, 0, "", "", 0o600)
    }


def test_the_gzip_header_has_no_time_name_or_system():
    flags_to_system = pack(FILES)[3:10]
    assert flags_to_system == b"\0\0\0\0\0\x02\xff"
