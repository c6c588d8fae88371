"""Delta bundles: what they change, what they leave alone, and when they are refused."""

import contextlib
import copy
import json
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_agent.bundle.delta import applied, read_delta
from policy_agent.bundle.reader import read_bundle
from policy_agent.config import Signing
from policy_agent.errors import (
    BundleDeltaError,
    BundleError,
    BundleFormatError,
    BundleVerificationError,
)
from policy_agent.model import Bundle, Manifest
from tests.bundle.archives import archive
from tests.bundle.signing import SECRET, listed, signature_file, token

DATA = {"a": {"b": 1, "list": [1, 2, {"x": 1}], "text": "t"}, "other": {"kept": [True]}}


def base(data=None, roots=("",)):
    manifest = Manifest(revision="r1", roots=roots, rego_version=0)
    modules = {"p.rego": "package a"}
    return Bundle("b", manifest, modules, copy.deepcopy(data or DATA), raw=b"archive")


def patch(*operations, **manifest):
    files = {"patch.json": json.dumps({"data": list(operations)}).encode()}
    if manifest:
        files[".manifest"] = json.dumps(manifest).encode()
    return files


def op(name, path, *value):
    return {"op": name, "path": path, **({"value": value[0]} if value else {})}


def changed(*operations, data=None):
    delta = read_delta(patch(*operations))
    return applied(delta, base(data), etag='"2"', size_bytes=9).data


# Operations on DATA, and the place below `data` that shows what they did.
CASES = [
    pytest.param([op("upsert", "/a/b", 2)], id="upsert replaces"),
    pytest.param([op("upsert", "/a/new/deep", {"x": 1})], id="upsert makes the way"),
    pytest.param([op("upsert", "/a/list/1", "in")], id="upsert inserts into an array"),
    pytest.param([op("upsert", "/a/list/-", "end")], id="upsert appends"),
    pytest.param([op("upsert", "/a/list/3", "end")], id="upsert at the end"),
    pytest.param([op("upsert", "/a/list/2/x", 2)], id="upsert below an array"),
    pytest.param([op("replace", "/a/list/0", 9)], id="replace in an array"),
    pytest.param([op("replace", "/a/text", None)], id="replace with null"),
    pytest.param([op("remove", "/a/list/0")], id="remove from an array"),
    pytest.param([op("remove", "/a/b"), op("upsert", "/a/b", 3)], id="in order"),
    pytest.param([op("upsert", "/a/x~1y~0z", 1)], id="JSON pointer escapes"),
    pytest.param([op("upsert", "/a/x%2Fy", 1)], id="percent escapes"),
    pytest.param([op("upsert", "a/b/", 5)], id="slashes around"),
]
REFUSED = [
    pytest.param([op("replace", "/a/none", 1)], id="replace what is not there"),
    pytest.param([op("remove", "/a/none")], id="remove what is not there"),
    pytest.param([op("remove", "/a/list/3")], id="remove beyond an array"),
    pytest.param([op("replace", "/a/list/-", 1)], id="replace the end"),
    pytest.param([op("upsert", "/a/list/x", 1)], id="an index that is no number"),
    pytest.param([op("upsert", "/a/list/4", 1)], id="upsert beyond the end"),
    pytest.param([op("upsert", "/a/text/x", 1)], id="below a scalar"),
    pytest.param([op("upsert", "/a/b", 2), op("remove", "/a/none")], id="the second of two"),
]


@pytest.mark.parametrize("operations", REFUSED)
def test_an_operation_that_has_nothing_to_change_refuses_the_whole(operations):
    bundle = base()
    with pytest.raises(BundleDeltaError, match="the active bundle has no such document"):
        applied(read_delta(patch(*operations)), bundle, etag=None, size_bytes=1)
    assert bundle.data == DATA


def test_what_is_not_changed_is_shared_and_the_old_version_stays():
    bundle = base()
    delta = read_delta(patch(op("upsert", "/a/b", 2), revision="r2", roots=[""]))
    after = applied(delta, bundle, etag='"2"', size_bytes=9)
    assert bundle.data == DATA
    assert after.data["other"] is bundle.data["other"]
    assert (after.manifest.revision, after.etag, after.kind) == ("r2", '"2"', "delta")
    assert after.modules is bundle.modules
    assert after.manifest.rego_version == 0
    # These bytes are not this bundle's, and must not be kept as if they were.
    assert after.raw == b""


def test_a_delta_without_operations_changes_the_revision_and_wipes_nothing():
    for content in (b"{}", b'{"data": []}'):
        delta = read_delta({"patch.json": content, ".manifest": b'{"revision": "r2"}'})
        after = applied(delta, base(), etag=None, size_bytes=1)
        assert (after.data, after.manifest.revision) == (DATA, "r2")
        assert after.modules


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (patch(op("add", "/a", 1)), "data[0]: bad patch operation: add"),
        (patch(op("upsert", "/", 1)), "data[0]: path must name a document below data"),
        (patch({"op": "upsert", "value": 1}), "data[0]: path must name a document"),
        (patch(op("upsert", "/a")), "data[0]: upsert needs a value"),
        (patch("text"), "data[0]: bad patch operation: None"),
        ({"patch.json": b"["}, "bundle load failed on patch decode: patch.json"),
        ({"patch.json": b"[]"}, "must be an object with a list of operations under data"),
        ({**patch(), "data.json": b"{}"}, "data.json: delta bundle expected to contain only"),
        ({**patch(), "a/p.rego": b""}, "a/p.rego: delta bundle expected to contain only"),
        ({**patch(), "policy.wasm": b""}, "policy.wasm: delta bundle expected to contain only"),
        (
            patch(op("upsert", "/b/c", 1), roots=["a"]),
            "manifest roots [a] do not permit data patch at path 'b/c'",
        ),
    ],
)
def test_malformed_deltas_are_refused_by_place(files, message):
    with pytest.raises(BundleFormatError, match=re.escape(message)):
        read_delta(files)


def test_a_delta_of_other_roots_is_refused():
    delta = read_delta(patch(op("upsert", "/a/b", 1), roots=["a"]))
    with pytest.raises(BundleDeltaError, match=r"roots \[a\], the active bundle has \[a b\]"):
        applied(delta, base(roots=("a", "b")), etag=None, size_bytes=1)


def test_a_delta_needs_something_to_change():
    with pytest.raises(BundleDeltaError, match="there is no bundle that it can change"):
        read_bundle("b", archive(patch(op("upsert", "/a/b", 1))))


def test_a_delta_is_signed_like_any_bundle():
    keys, files = {"k": SECRET}, patch(op("upsert", "/a/b", 7))
    signed = {**files, ".signatures.json": signature_file(token({"files": listed(files)}))}
    after = read_bundle("b", archive(signed), signing=Signing(("k",)), keys=keys, base=base())
    assert after.data["a"]["b"] == 7
    forged = {**signed, **patch(op("upsert", "/a/b", 8))}
    with pytest.raises(BundleVerificationError, match="digest mismatch"):
        read_bundle("b", archive(forged), signing=Signing(("k",)), keys=keys, base=base())
    with pytest.raises(BundleVerificationError, match="missing"):
        read_bundle("b", archive(files), signing=Signing(("k",)), keys=keys, base=base())


def test_an_unsigned_delta_is_taken_only_where_that_is_configured():
    keys = {"k": SECRET}
    lenient = Signing(("k",), allow_unsigned_deltas=True)
    files = patch(op("upsert", "/a/b", 7))
    after = read_bundle("b", archive(files), signing=lenient, keys=keys, base=base())
    assert after.data["a"]["b"] == 7
    # A signature that is there has to be right all the same.
    wrong = {
        **files,
        ".signatures.json": signature_file(token({"files": listed({"patch.json": b"{}"})})),
    }
    with pytest.raises(BundleVerificationError):
        read_bundle("b", archive(wrong), signing=lenient, keys=keys, base=base())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
ENTRIES = st.lists(
    JSON
    | st.fixed_dictionaries(
        {},
        optional={
            "op": st.sampled_from(["upsert", "remove", "replace", "add"]),
            "path": st.sampled_from(
                ["/a", "/a/b", "/a/list/0", "/a/list/-", "//", "", "/%zz", "/~"]
            )
            | st.text(),
            "value": JSON,
        },
    )
)


@given(ENTRIES)
def test_any_patch_is_applied_whole_or_refused_with_our_own_error(entries):
    bundle = base()
    files = {"patch.json": json.dumps({"data": entries}).encode()}
    try:
        after = applied(read_delta(files), bundle, etag=None, size_bytes=1)
    except BundleError:
        pass
    else:
        assert isinstance(after.data, dict)
    assert bundle.data == DATA


@given(st.binary())
def test_any_bytes_as_a_patch_end_in_our_own_error_or_a_delta(content):
    with contextlib.suppress(BundleError):
        read_delta({"patch.json": content})


def test_many_changes_copy_what_they_change_once():
    count = 50_000
    wide = base({"a": {f"k{n}": n for n in range(count)}})
    entries = [{"op": "replace", "path": f"/a/k{n}", "value": 0} for n in range(count)]
    delta = read_delta({"patch.json": json.dumps({"data": entries}).encode()})
    before = time.process_time()
    after = applied(delta, wide, etag=None, size_bytes=1)
    assert time.process_time() - before < 5, "each change copied everything"
    assert not any(after.data["a"].values())
    assert sum(wide.data["a"].values()) == sum(range(count))


@pytest.mark.parametrize(
    ("path", "error"),
    [
        pytest.param("/a/list/" + "9" * 5000, BundleDeltaError, id="index of many digits"),
        pytest.param("/a" * 65, BundleFormatError, id="deep"),
    ],
)
def test_paths_beyond_all_use_are_refused(path, error):
    content = json.dumps({"data": [{"op": "upsert", "path": path, "value": 1}]}).encode()
    with pytest.raises(error):
        applied(read_delta({"patch.json": content}), base(), etag=None, size_bytes=1)


def test_a_delta_may_name_the_only_revision_that_it_leads_on_from():
    def delta(revision):
        content = json.dumps({"data": [], "base_revision": revision}).encode()
        return read_delta({"patch.json": content})

    assert applied(delta("r1"), base(), etag=None, size_bytes=1).data == DATA
    with pytest.raises(BundleDeltaError, match="leads on from revision 'other'"):
        applied(delta("other"), base(), etag=None, size_bytes=1)
    with pytest.raises(BundleFormatError, match="base_revision must be a string"):
        delta(1)
