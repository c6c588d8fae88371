"""The last good copy: written whole or not at all, and never trusted beyond its bytes."""

import json
import os
import threading
from pathlib import Path

import pytest

from policy_agent.bundle.archive import MAX_ARCHIVE_BYTES
from policy_agent.bundle.persist import BundleStore, Copy

ORIGIN = "http://bundles.test/authz"
FETCHED_AT = "2026-01-01T00:00:00Z"


def store(directory, name="authz", origin=ORIGIN) -> BundleStore:
    return BundleStore(directory, name, origin)


def save(directory, raw=b"raw", etag='"e"', **facts) -> None:
    store(directory, **facts).save(Copy(raw, etag), fetched_at=FETCHED_AT)


def test_a_copy_is_read_back_with_its_etag(tmp_path):
    save(tmp_path)
    assert store(tmp_path).load() == Copy(b"raw", '"e"')
    directory = tmp_path / "bundles" / "authz"
    assert sorted(os.listdir(directory)) == ["bundle.json", "bundle.tar.gz"]
    assert json.loads((directory / "bundle.json").read_text())["fetched_at"] == FETCHED_AT


def test_without_a_copy_there_is_none(tmp_path, caplog):
    assert store(tmp_path).load() is None
    assert not caplog.records


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("../../etc", id="parent"),
        pytest.param("..", id="dots"),
        pytest.param("a/b c", id="slash"),
        pytest.param("/abs", id="absolute"),
    ],
)
def test_any_name_stays_inside_the_directory(tmp_path, name):
    save(tmp_path / "root", name=name)
    assert [path.name for path in tmp_path.iterdir()] == ["root"]
    assert len(list((tmp_path / "root" / "bundles").iterdir())) == 1
    assert store(tmp_path / "root", name).load() == Copy(b"raw", '"e"')


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param(b"{", id="not JSON"),
        pytest.param(b"[]", id="no object"),
        pytest.param(b"{}", id="nothing said"),
        pytest.param(None, id="no file"),
    ],
)
def test_a_copy_without_good_facts_has_no_etag(tmp_path, facts):
    save(tmp_path)
    path = tmp_path / "bundles" / "authz" / "bundle.json"
    path.unlink()
    if facts is not None:
        path.write_bytes(facts)
    assert store(tmp_path).load() == Copy(b"raw", None)


def test_an_etag_vouches_only_for_its_own_bytes_and_source(tmp_path):
    save(tmp_path)
    assert store(tmp_path, origin="http://elsewhere.test/authz").load() == Copy(b"raw", None)
    (tmp_path / "bundles" / "authz" / "bundle.tar.gz").write_bytes(b"another agent's")
    assert store(tmp_path).load() == Copy(b"another agent's", None)


def test_an_etag_that_cannot_be_a_header_is_forgotten(tmp_path):
    save(tmp_path, etag='"e"\r\nX: y')
    assert store(tmp_path).load() == Copy(b"raw", None)


def test_a_bad_copy_is_set_aside_with_a_warning(tmp_path, caplog):
    save(tmp_path)
    store(tmp_path).set_aside(ValueError("why"))
    assert store(tmp_path).load() is None
    assert "bundle authz: the copy on disk is set aside: why" in caplog.text


def test_a_disk_that_cannot_be_written_is_a_warning(tmp_path, caplog):
    (tmp_path / "bundles").write_bytes(b"a file where a directory should be")
    save(tmp_path)
    assert "the copy on disk cannot be written" in caplog.text
    store(tmp_path).set_aside(ValueError("why"))
    assert "the copy on disk cannot be set aside" in caplog.text
    assert store(tmp_path).load() is None


def test_a_failed_write_leaves_the_old_copy_and_no_litter(tmp_path, caplog):
    save(tmp_path)
    directory = tmp_path / "bundles" / "authz"
    (directory / "bundle.tar.gz").unlink()
    (directory / "bundle.tar.gz").mkdir()
    save(tmp_path, b"new")
    assert "cannot be written" in caplog.text
    assert sorted(os.listdir(directory)) == ["bundle.json", "bundle.tar.gz"]


def test_a_copy_too_large_to_be_a_bundle_is_not_read(tmp_path, caplog):
    save(tmp_path)
    os.truncate(tmp_path / "bundles" / "authz" / "bundle.tar.gz", MAX_ARCHIVE_BYTES + 1)
    assert store(tmp_path).load() is None
    assert "it is larger than" in caplog.text


def test_what_is_no_file_is_not_waited_for(tmp_path, caplog):
    directory = tmp_path / "bundles" / "authz"
    directory.mkdir(parents=True)
    os.mkfifo(directory / "bundle.tar.gz")
    assert store(tmp_path).load() is None
    assert "not a regular file" in caplog.text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_copy_planted_by_another_user_is_not_read(tmp_path, caplog):
    save(tmp_path)
    path = tmp_path / "bundles" / "authz" / "bundle.tar.gz"
    os.chown(path, 12345, 12345)
    assert store(tmp_path).load() is None
    assert "it belongs to another user" in caplog.text


def test_agents_that_share_a_directory_never_see_a_mixture(tmp_path):
    versions = [Copy(bytes([n]) * 20_000, f'"{n}"') for n in range(8)]
    stop = threading.Event()

    def write(mine: list[Copy]) -> None:
        while not stop.is_set():
            for copy in mine:
                store(tmp_path).save(copy, fetched_at=FETCHED_AT)

    save(tmp_path, versions[0].raw, versions[0].etag)
    writers = [threading.Thread(target=write, args=(versions[n::2],)) for n in range(2)]
    for writer in writers:
        writer.start()
    try:
        seen = [store(tmp_path).load() for _ in range(200)]
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    known = {copy.raw: copy.etag for copy in versions}
    assert all(copy and copy.etag in (None, known[copy.raw]) for copy in seen)


def test_the_directory_is_private(tmp_path):
    save(tmp_path / "state")
    file = tmp_path / "state" / "bundles" / "authz" / "bundle.tar.gz"
    assert file.stat().st_mode & 0o077 == 0
    assert Path(file.parent).stat().st_mode & 0o077 == 0
