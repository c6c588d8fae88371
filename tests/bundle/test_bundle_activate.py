"""Bundles side by side: roots, module names, and what policies may read about them."""

import re

import pytest

from policy_agent.bundle.activate import combine
from policy_agent.bundle.reader import read_bundle
from policy_agent.errors import BundleActivationError
from policy_agent.model import Bundle, Manifest
from tests.bundle.archives import bundle


def with_roots(**roots: tuple[str, ...]) -> dict[str, Bundle]:
    return {name: Bundle(name, Manifest(roots=owned), {}, {}) for name, owned in roots.items()}


def test_modules_and_data_of_all_bundles_are_joined():
    bundles = {
        "one": read_bundle("one", bundle("a.b", revision="r1", data={"x": 1}), etag='"e1"'),
        "two/nested": read_bundle("two/nested", bundle("a.c", revision="r2", data={"y": 2})),
    }
    combined = combine(bundles)
    assert list(combined.modules) == ["one/a/b/policy.rego", "two/nested/a/c/policy.rego"]
    assert combined.data["a"] == {"b": {"x": 1}, "c": {"y": 2}}
    assert combined.data["system"]["bundles"] == {
        "one": {"manifest": {"revision": "r1", "roots": ["a/b"]}, "etag": '"e1"'},
        "two/nested": {"manifest": {"revision": "r2", "roots": ["a/c"]}, "etag": ""},
    }
    assert bundles["one"].data == {"a": {"b": {"x": 1}}}, "the bundle's own data is untouched"


def test_only_a_bundle_that_is_alone_runs_by_its_plan():
    planned = Bundle("one", Manifest(roots=("a",)), {}, {}, plan=b"{}")
    assert combine({"one": planned}).plan == b"{}"
    assert combine({"one": planned, **with_roots(two=("b",))}).plan is None
    assert combine(with_roots(one=("a",))).plan is None


def test_the_whole_manifest_can_be_read():
    manifest = Manifest("r", ("a",), 1, {"/p.rego": 1}, {"team": "core"})
    data = combine({"b": Bundle("b", manifest, {}, {})}).data
    assert data["system"]["bundles"]["b"]["manifest"] == {
        "revision": "r",
        "roots": ["a"],
        "rego_version": 1,
        "file_rego_versions": {"/p.rego": 1},
        "metadata": {"team": "core"},
    }


def test_a_bundle_cannot_lie_about_bundles_but_keeps_other_system_data():
    data = {"system": {"bundles": {"other": {"etag": "x"}}, "log": {"on": True}}}
    combined = combine({"b": Bundle("b", Manifest(), {}, data)})
    assert set(combined.data["system"]["bundles"]) == {"b"}
    assert combined.data["system"]["log"] == {"on": True}


@pytest.mark.parametrize(
    ("bundles", "message"),
    [
        pytest.param(
            with_roots(abc=("acl",), zed=("x", "acl")),
            "detected overlapping roots in manifests for these bundles: [abc, zed] "
            "(root acl is in multiple bundles)",
            id="same root",
        ),
        pytest.param(
            with_roots(one=("a/b", "q"), two=("a",), three=("q",)),
            "these bundles: [one, three, two] (a overlaps a/b, root q is in multiple bundles)",
            id="several conflicts",
        ),
        pytest.param(
            with_roots(one=("",), two=("a",)),
            "bundles [one, two] have overlapping roots and cannot be activated simultaneously "
            "because bundle(s) [one] specify empty root paths ('') "
            "which overlap with any other bundle root",
            id="a root that owns everything",
        ),
    ],
)
def test_overlapping_roots_are_refused_in_opas_words(bundles, message):
    with pytest.raises(BundleActivationError, match=re.escape(message)):
        combine(bundles)


def test_roots_end_at_a_segment():
    assert combine(with_roots(one=("a/b",), two=("a/bc",))).modules == {}


def test_data_that_conflicts_after_all_is_refused():
    bundles = {
        "one": Bundle("one", Manifest(roots=("a",)), {}, {"x": 1}),
        "two": Bundle("two", Manifest(roots=("b",)), {}, {"x": {"y": 2}}),
    }
    with pytest.raises(BundleActivationError, match="data of bundle two conflicts"):
        combine(bundles)
