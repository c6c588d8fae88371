import gzip
import io
import json
import tarfile

import pytest

from policy_agent.errors import BundleError
from policy_agent.publisher.build import build

FILES = {
    ".manifest": b'{"roots": ["app"], "metadata": {"owner": "team"}, "revision": "source"}',
    "app/data.json": b'{"n": 1e400, "m": 0.10000000000000000001}',
    "app/more/data.yaml": b"on: off\n",
    "app/p.rego": b"package app\n\nallow if true\n",
    "app/p_test.rego": b"package app_test\n\ntest_x if true\n",
    "README.md": b"not policy",
    "app/other.json": b"{}",
    ".signatures.json": b"of the source, not of what is built",
}
ROOTED = FILES | {"app/p_test.rego": b"package app.p_test\n\ntest_x if true\n"}


def contents(raw: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(raw))) as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar.getmembers()}


def test_policies_tests_and_data_are_shipped_as_they_are():
    shipped = contents(build("app", ROOTED).raw)
    assert sorted(shipped) == [
        ".manifest",
        "app/data.json",
        "app/more/data.yaml",
        "app/p.rego",
        "app/p_test.rego",
    ]
    assert all(shipped[path] == ROOTED[path] for path in shipped if path != ".manifest")


def test_the_manifest_keeps_what_the_source_says_and_states_the_rest():
    assert json.loads(contents(build("app", ROOTED, revision="r1").raw)[".manifest"]) == {
        "metadata": {"owner": "team"},
        "revision": "r1",
        "rego_version": 1,
        "roots": ["app"],
    }


@pytest.mark.parametrize(
    ("revision", "expected"),
    [
        pytest.param(None, "source", id="the source's"),
        pytest.param("", "", id="empty on purpose"),
        pytest.param("v2", "v2", id="given"),
    ],
)
def test_a_given_revision_replaces_the_sources(revision, expected):
    assert build("app", ROOTED, revision=revision).manifest.revision == expected


def test_a_source_without_manifest_owns_everything():
    bundle = build("app", {"p.rego": b"package p\n"})
    assert bundle.manifest.roots == ("",)
    assert bundle.manifest.revision == ""


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param("*_test.rego", id="file names"),
        pytest.param("more", id="a directory"),
        pytest.param("data.*", id="wherever it is"),
    ],
)
def test_ignored_names_are_left_out(pattern):
    everything = contents(build("app", ROOTED).raw)
    left = contents(build("app", ROOTED, ignore=["nothing", pattern]).raw)
    dropped = {
        "*_test.rego": {"app/p_test.rego"},
        "more": {"app/more/data.yaml"},
        "data.*": {"app/data.json", "app/more/data.yaml"},
    }
    assert set(everything) - set(left) == dropped[pattern]


def test_building_twice_gives_equal_bytes():
    assert build("app", ROOTED, revision="r").raw == build("app", ROOTED, revision="r").raw


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        pytest.param(FILES, "do not permit 'package app_test'", id="package outside the roots"),
        pytest.param({"data.json": b"{"}, "data.json", id="broken data"),
        pytest.param({"patch.json": b"{}"}, "no bundle that it can change", id="delta"),
        pytest.param({".manifest": b"[]"}, "manifest decode: must be an object", id="manifest"),
        pytest.param({"a/.manifest": b"{}"}, "multiple manifest files", id="misplaced manifest"),
        pytest.param({"p.rego": b"allow if true"}, "package expected", id="no package"),
    ],
)
def test_what_is_no_bundle_is_refused(files, sentence):
    with pytest.raises(BundleError, match=sentence):
        build("app", files)
