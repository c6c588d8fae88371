"""Bundles on disk: the same checks as for an archive, and no way out of the directory."""

import os
import re

import pytest

from policy_agent.bundle.directory import collect_files, read_directory, read_path
from policy_agent.config import Signing
from policy_agent.errors import BundleDownloadError, BundleFormatError, BundleVerificationError
from tests.bundle.archives import bundle, module
from tests.bundle.signing import SECRET, listed, signature_file, token


def write(root, files):
    for path, content in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return root


def test_a_directory_is_read_like_an_archive(tmp_path):
    files = {
        ".manifest": b'{"roots": ["a"], "revision": "r"}',
        "a/p.rego": module("a"),
        "a/data.yaml": b"x: 1",
    }
    read = read_directory("b", write(tmp_path, files))
    assert read.manifest.revision == "r"
    assert list(read.modules) == ["a/p.rego"]
    assert read.data == {"a": {"x": 1}}
    assert (read.raw, read.size_bytes) == (b"", 0)


def test_files_come_sorted_and_hidden_ones_are_left_out(tmp_path):
    files = {
        "z.rego": b"z",
        "a/b.rego": b"b",
        "a.rego": b"a",
        ".manifest": b"{}",
        ".signatures.json": b"{}",
        ".git/hooks/x.rego": b"x",
        "a/.p.rego.swp": b"swap",
    }
    collected = collect_files(write(tmp_path, files))
    assert list(collected) == [".manifest", ".signatures.json", "a.rego", "a/b.rego", "z.rego"]


def test_a_mounted_config_map_is_read(tmp_path):
    write(tmp_path, {"..2026/p.rego": module("a")})
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "p.rego").symlink_to("..data/p.rego")
    assert collect_files(tmp_path) == {"p.rego": module("a")}


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        pytest.param("../outside", BundleFormatError, "l: the link leads outside", id="file"),
        pytest.param("/etc", BundleFormatError, "l: the link leads outside", id="directory"),
        pytest.param("d", BundleFormatError, "l: links to directories", id="directory inside"),
        pytest.param("l", BundleDownloadError, "l: too many levels", id="loop"),
        pytest.param("missing", BundleDownloadError, "l: no such file", id="dangling"),
    ],
)
def test_links_that_lead_elsewhere_are_refused(tmp_path, target, error, message):
    (tmp_path / "outside").write_bytes(b"secret")
    root = write(tmp_path / "root", {"d/p.rego": module("a")})
    (root / "l").symlink_to(target)
    with pytest.raises(error, match=message):
        collect_files(root)


def test_devices_and_large_files_are_refused(tmp_path):
    write(tmp_path, {"a/p.rego": b"12345"})
    message = "bundle file a/p.rego size (5 bytes) exceeds configured size_limit_bytes (4 bytes)"
    with pytest.raises(BundleFormatError, match=re.escape(message)):
        read_path("b", tmp_path, size_limit_bytes=4)
    os.mkfifo(tmp_path / "f")
    with pytest.raises(BundleDownloadError, match="f: not a regular file"):
        collect_files(tmp_path)


def test_an_archive_on_disk_is_read(tmp_path):
    (tmp_path / "b.tar.gz").write_bytes(bundle("a", revision="r9"))
    assert read_path("b", tmp_path / "b.tar.gz").manifest.revision == "r9"


def test_what_is_not_there_is_an_error(tmp_path):
    with pytest.raises(BundleDownloadError, match="no such file or directory"):
        read_path("b", tmp_path / "missing.tar.gz")
    with pytest.raises(BundleDownloadError, match="no such file or directory"):
        read_directory("b", tmp_path / "missing")


def test_a_signature_covers_a_directory_too(tmp_path):
    files = {"p.rego": module("a")}
    write(tmp_path, {**files, ".signatures.json": signature_file(token({"files": listed(files)}))})
    keys = {"k": SECRET}
    assert read_path("b", tmp_path, signing=Signing(), keys=keys).modules
    write(tmp_path, {"q.rego": module("b")})
    with pytest.raises(BundleVerificationError, match=r"file q.rego not included"):
        read_path("b", tmp_path, signing=Signing(), keys=keys)
