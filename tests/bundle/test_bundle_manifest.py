"""The manifest: OPA's fields, OPA's refusals, and clear words for what this engine cannot do."""

import re

import pytest

from policy_agent.bundle.manifest import parse_manifest, read_manifest
from policy_agent.errors import BundleFormatError
from policy_agent.model import Manifest


def test_fields_are_read_and_unknown_ones_ignored():
    raw = b"""{"revision": "r", "roots": ["/a/b/", "c"], "rego_version": 1, "new": [],
               "file_rego_versions": {"/a/*.rego": 1}, "metadata": {"k": [1]}}"""
    assert parse_manifest(raw) == Manifest(
        revision="r",
        roots=("a/b", "c"),
        rego_version=1,
        file_rego_versions={"/a/*.rego": 1},
        metadata={"k": [1]},
    )


@pytest.mark.parametrize(
    ("raw", "roots"),
    [
        pytest.param(b"{}", ("",), id="absent owns everything"),
        pytest.param(b'{"roots": null, "revision": null}', ("",), id="null owns everything"),
        pytest.param(b'{"roots": []}', (), id="empty owns nothing"),
    ],
)
def test_default_roots(raw, roots):
    assert parse_manifest(raw).roots == roots


def test_a_bundle_without_manifest_owns_everything():
    assert read_manifest({"a/p.rego": b""}) == Manifest()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        pytest.param(b'{"roots": ["a/b", "a"]}', "overlapped roots: 'a/b' and 'a'", id="overlap"),
        pytest.param(b'{"roots": ["", "a"]}', "overlapped roots: '' and 'a'", id="root of all"),
        pytest.param(b'{"roots": ["a", "a"]}', "overlapped roots: 'a' and 'a'", id="same"),
        pytest.param(b'{"rego_version": 7}', "manifest has unknown rego-version 7", id="unknown"),
        pytest.param(
            b'{"file_rego_versions": {"/a": 9}}',
            "manifest has unknown rego-version 9 for file '/a'",
            id="unknown for a file",
        ),
        pytest.param(b'{"rego_version": 2}', "rego-version 2, which this engine", id="v2"),
        pytest.param(
            b'{"file_rego_versions": {"/a": 2}}',
            "rego-version 2 for file '/a', which this engine",
            id="v2 file",
        ),
        pytest.param(b'{"file_rego_versions": {"/a": "1"}}', "patterns to integers", id="text"),
        pytest.param(b'{"rego_version": true}', "rego_version must be an integer", id="boolean"),
        pytest.param(b'{"revision": 1}', "revision must be a string", id="revision"),
        pytest.param(b'{"roots": "a"}', "roots must be a list", id="roots"),
        pytest.param(b'{"roots": [1]}', "roots must be a list of strings", id="root"),
        pytest.param(b'{"metadata": []}', "metadata must be an object", id="metadata"),
        pytest.param(b'{"wasm": [{"entrypoint": "a"}]}', "wasm entrypoints", id="wasm"),
        pytest.param(b'{"roots": ["%s"]}' % b"/".join([b"a"] * 65), "too deeply", id="deep"),
        pytest.param(b"[]", "must be an object", id="list"),
        pytest.param(b"{", "bundle load failed on manifest decode: line 1", id="not JSON"),
    ],
)
def test_wrong_manifests_are_refused(raw, message):
    with pytest.raises(BundleFormatError, match=re.escape(message)):
        parse_manifest(raw)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param(
            {".manifest": b"{}", "x/y.manifest": b"{}"},
            'bundle contains multiple manifest files: ".manifest" and "x/y.manifest"',
            id="several, wherever they are",
        ),
        pytest.param({".manifest.pb": b""}, ".manifest.pb: protobuf", id="protobuf"),
    ],
)
def test_wrong_manifest_files_are_refused(files, message):
    with pytest.raises(BundleFormatError, match=re.escape(message)):
        read_manifest(files)
