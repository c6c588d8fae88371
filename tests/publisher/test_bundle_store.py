import os

import pytest

from policy_agent.errors import BundleError
from policy_agent.publisher.bundle_store import BundleStore
from tests.publisher.serving import publish


@pytest.fixture
def directory(tmp_path):
    directory = tmp_path / "served"
    (directory / "teams" / "eu").mkdir(parents=True)
    publish(directory / "orders.tar.gz", b"one")
    publish(directory / "teams" / "eu" / "orders.tar.gz", b"eu")
    (tmp_path / "secret.tar.gz").write_bytes(b"secret")
    return directory


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("orders", b"one", id="without suffix"),
        pytest.param("orders.tar.gz", b"one", id="with suffix"),
        pytest.param("teams/eu/orders", b"eu", id="in a subdirectory"),
    ],
)
def test_a_bundle_is_found_by_its_name(directory, name, content):
    stored = BundleStore(directory).find(name)
    assert stored is not None
    assert stored.raw == content


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="empty"),
        pytest.param("nothing", id="absent"),
        pytest.param("../secret", id="parent"),
        pytest.param("teams/../orders", id="parent in the middle"),
        pytest.param("teams//eu/orders", id="empty segment"),
        pytest.param("/etc/passwd", id="absolute"),
        pytest.param("orders\0", id="NUL"),
        pytest.param(".hidden", id="hidden file"),
        pytest.param("folder", id="directory"),
        pytest.param("pipe", id="pipe"),
        pytest.param("link", id="link to the outside"),
        pytest.param("out/secret", id="through a linked directory"),
        pytest.param("loop", id="link to itself"),
        pytest.param("n" * 5000, id="name too long for a disk"),
    ],
)
def test_nothing_but_bundles_of_the_directory_is_found(directory, tmp_path, name):
    publish(directory / ".hidden.tar.gz", b"hidden")
    (directory / "folder.tar.gz").mkdir()
    os.mkfifo(directory / "pipe.tar.gz")
    (directory / "link.tar.gz").symlink_to(tmp_path / "secret.tar.gz")
    (directory / "out").symlink_to(tmp_path)
    (directory / "loop.tar.gz").symlink_to("loop.tar.gz")
    assert BundleStore(directory).find(name) is None


def test_links_inside_the_directory_are_followed_as_kubernetes_mounts_need(directory):
    (directory / "stable.tar.gz").symlink_to("orders.tar.gz")
    stored = BundleStore(directory).find("stable")
    assert stored is not None
    assert stored.raw == b"one"


def test_a_file_is_read_once_and_again_when_replaced(directory):
    store = BundleStore(directory)
    first = store.find("orders")
    assert store.find("orders.tar.gz") is first
    publish(directory / "orders.tar.gz", b"two")
    second = store.find("orders")
    assert second is not None
    assert second.raw == b"two"
    assert first is not None
    assert second.etag != first.etag


def test_a_replacement_of_equal_size_and_time_is_seen(directory):
    store = BundleStore(directory)
    store.find("orders")
    before = (directory / "orders.tar.gz").stat()
    publish(directory / "orders.tar.gz", b"two")
    os.utime(directory / "orders.tar.gz", ns=(before.st_atime_ns, before.st_mtime_ns))
    stored = store.find("orders")
    assert stored is not None
    assert stored.raw == b"two"


def test_a_directory_published_by_switching_a_link_is_seen(directory, tmp_path):
    release = tmp_path / "release"
    release.mkdir()
    publish(release / "orders.tar.gz", b"two")
    (tmp_path / "current").symlink_to(directory)
    store = BundleStore(tmp_path / "current")
    store.find("orders")
    (tmp_path / "next").symlink_to(release)
    (tmp_path / "next").replace(tmp_path / "current")
    stored = store.find("orders")
    assert stored is not None
    assert stored.raw == b"two"


def test_a_removed_bundle_is_gone(directory):
    store = BundleStore(directory)
    assert store.find("orders")
    (directory / "orders.tar.gz").unlink()
    assert store.find("orders") is None


def test_a_missing_directory_is_refused_by_name(tmp_path):
    with pytest.raises(BundleError, match="nowhere: is not a directory"):
        BundleStore(tmp_path / "nowhere")
