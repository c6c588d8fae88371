"""Reading a bundle: which file is what, and that nothing leaves the bundle's roots."""

import json
import re
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_agent.bundle.package_name import package_name
from policy_agent.bundle.reader import read_bundle, read_files
from policy_agent.errors import BundleError, BundleFormatError
from tests.bundle.archives import archive, bundle, module
from tests.support import OPA, needs_opa


def manifest(*roots: str) -> bytes:
    return json.dumps({"roots": roots}).encode()


def test_a_bundle_is_read_from_an_archive():
    raw = bundle("orders.authz", revision="r7", data={"limit": 5})
    read = read_bundle("authz", raw, etag='"e"')
    assert read.name == "authz"
    assert read.manifest.revision == "r7"
    assert list(read.modules) == ["orders/authz/policy.rego"]
    assert read.data == {"orders": {"authz": {"limit": 5}}}
    assert (read.etag, read.size_bytes, read.raw) == ('"e"', len(raw), raw)


def test_data_files_merge_by_directory_and_other_files_are_ignored():
    files = {
        "data.json": b'{"a": {"x": 1}}',
        "a/data.yaml": b"y: on",
        "a/b/data.yml": b"[1, 2]",
        "a/other.json": b"not even JSON",
        "a/mydata.json": b"{",
        "policy.wasm": b"\0asm",
        "plan.json": b"{}",
    }
    assert read_files("b", files).data == {"a": {"x": 1, "y": "on", "b": [1, 2]}}


def test_the_ready_plan_is_the_one_at_the_top():
    assert read_files("b", {"plan.json": b"top", "a/plan.json": b"below"}).plan == b"top"
    assert read_files("b", {"a/plan.json": b"below"}).plan is None


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param({"data.json": b"[]"}, "data.json: root value must be object", id="root list"),
        pytest.param({"data.yaml": b""}, "data.yaml: root value must be object", id="empty YAML"),
        pytest.param({"data.json": b"{"}, "bundle load failed on data.json: line 1", id="JSON"),
        pytest.param({"a/data.yml": b"a: ["}, "bundle load failed on a/data.yml", id="YAML"),
        pytest.param(
            {"a/data.json": b"1", "data.json": b'{"a": 1}'},
            "bundle load failed on data.json: failed to insert data file",
            id="conflict",
        ),
        pytest.param(
            {"a/data.json": b'{"b": 1}', "data.json": b'{"a": {"b": 2}}'},
            "bundle load failed on data.json: failed to insert data file",
            id="nested conflict",
        ),
        pytest.param(
            {".manifest": manifest("acl"), "authz/p.rego": module("authz")},
            "manifest roots [acl] do not permit 'package authz' in module 'authz/p.rego'",
            id="module outside",
        ),
        pytest.param(
            {".manifest": manifest("ab"), "p.rego": module("a")},
            "manifest roots [ab] do not permit 'package a'",
            id="module above",
        ),
        pytest.param(
            {".manifest": manifest("a", "b"), "p.rego": module("abc")},
            "manifest roots [a b] do not permit 'package abc'",
            id="roots end at a segment",
        ),
        pytest.param(
            {".manifest": manifest("authz"), "acl/data.json": b'{"u": 1}'},
            "manifest roots [authz] do not permit data at path '/acl/u' "
            "(hint: check bundle directory structure)",
            id="data outside",
        ),
        pytest.param(
            {".manifest": manifest("a/b"), "data.json": b'{"a": {"b": 1, "c": 2}}'},
            "do not permit data at path '/a/c'",
            id="data beside",
        ),
        pytest.param(
            {".manifest": manifest("a/b"), "data.json": b'{"a": 1}'},
            "do not permit data at path '/a'",
            id="data above",
        ),
        pytest.param(
            {".manifest": b'{"roots": []}', "data.json": b'{"a": 1}'},
            "manifest roots [] do not permit data at path '/a'",
            id="no roots at all",
        ),
        pytest.param({"p.rego": b"package a\xff"}, "p.rego: is not UTF-8 at byte 9", id="bytes"),
        pytest.param({"p.rego": b"allow := true"}, "p.rego: package expected", id="no package"),
        pytest.param({"p.rego": b""}, "p.rego: package expected", id="empty module"),
        pytest.param({"data.json": b"[" * 5000}, "data.json: nested too deeply", id="deep JSON"),
    ],
)
def test_unfit_files_are_refused_by_name(files, message):
    with pytest.raises(BundleFormatError, match=re.escape(message)):
        read_files("b", files)


def test_what_lies_inside_the_roots_is_read():
    files = {
        ".manifest": manifest("a/b", "c"),
        "data.json": b'{"a": {"b": 1}, "c": {"d": {}}}',
        "p.rego": module("c.d"),
        "q.rego": b'\xef\xbb\xbfpackage a["b"]\n',
    }
    read = read_files("b", files)
    assert read.data == {"a": {"b": 1}, "c": {"d": {}}}
    assert read.modules["q.rego"].startswith("package")


@pytest.mark.parametrize("depth", [1000, 5000, 100_000])
def test_data_that_is_too_deep_is_refused(depth):
    outer = b'{"a":' * depth + b"1" + b"}" * depth
    inner = b'{"a":' * (depth - 1) + b"1" + b"}" * (depth - 1)
    with pytest.raises(BundleFormatError):
        read_files("b", {"data.json": outer, "a/data.json": inner})


def test_yaml_aliases_are_read_but_not_as_a_bomb():
    assert read_files("b", {"data.yaml": b"a: &x [1]\nb: *x"}).data == {"a": [1], "b": [1]}
    lines = ["a0: &a0 [1, 1]"]
    lines += [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    with pytest.raises(BundleFormatError, match=r"data.yaml: aliases expand to too many values"):
        read_files("b", {"data.yaml": "\n".join(lines).encode()})
    merges = ["a0: &a0 {k: 1}"]
    merges += [f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 60)]
    with pytest.raises(BundleFormatError, match="aliases expand"):
        read_files("b", {"data.yaml": "\n".join(merges).encode()})
    with pytest.raises(BundleFormatError, match="the value contains itself"):
        read_files("b", {"data.yaml": b"a: &x [*x]"})


PACKAGES = [
    pytest.param("package a", ("a",), id="plain"),
    pytest.param("# c\n\n  package\t a.b_1.if # d", ("a", "b_1", "if"), id="comments and keywords"),
    pytest.param("package # c\n a", ("a",), id="comment between"),
    pytest.param('package a["b/c"].d', ("a", "b/c", "d"), id="quoted"),
    pytest.param(r'package a["\u0062"]', ("a", "b"), id="escaped"),
    pytest.param("package a[`b`]", ("a", "b"), id="raw string"),
]
NO_PACKAGES = [
    pytest.param("", id="empty"),
    pytest.param("# package a", id="only a comment"),
    pytest.param("x := 1\npackage a", id="not first"),
    pytest.param('package "a"', id="not a name"),
    pytest.param("packagea", id="no blank"),
    pytest.param("\fpackage a", id="other blanks"),
    pytest.param(r'package a["\q"]', id="bad escape"),
]


@pytest.mark.parametrize(("source", "path"), PACKAGES)
def test_package_names(source, path):
    assert package_name(source) == path


@pytest.mark.parametrize("source", NO_PACKAGES)
def test_sources_without_package(source):
    assert package_name(source) is None


@pytest.mark.parametrize(("source", "path"), PACKAGES)
@needs_opa[0]
@needs_opa[1]
def test_package_names_agree_with_opa(source, path, tmp_path):
    file = tmp_path / "p.rego"
    file.write_text(source + "\nx := 1\n", "utf-8")
    run = subprocess.run(
        [str(OPA), "parse", "--format=json", file], capture_output=True, check=True, timeout=20
    )
    terms = json.loads(run.stdout)["package"]["path"]
    assert tuple(term["value"] for term in terms[1:]) == path


SEED = {
    ".manifest": manifest("a"),
    "a/p.rego": module("a"),
    "a/data.json": b'{"x": [1, 2.5e3, "s"]}',
    "a/b/data.yaml": b"k: &v [1]\nl: *v\n",
}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(SEED)), st.data())
def test_mutated_files_end_in_a_bundle_or_in_our_error(path, data):
    content = bytearray(SEED[path])
    for _ in range(data.draw(st.integers(1, 6))):
        position = data.draw(st.integers(0, len(content)))
        content[position : position + data.draw(st.integers(0, 2))] = data.draw(
            st.binary(max_size=3)
        )
    try:
        read_files("b", {**SEED, path: bytes(content)})
    except BundleError:
        return


@needs_opa[0]
@needs_opa[1]
def test_what_opa_builds_is_read(tmp_path):
    source = tmp_path / "source"
    (source / "a").mkdir(parents=True)
    (source / "a" / "p.rego").write_bytes(module("a"))
    (source / "a" / "data.json").write_text('{"n": 1}')
    (source / ".manifest").write_text('{"roots": ["a"], "revision": "r1"}')
    subprocess.run(
        [str(OPA), "build", "-b", source, "-o", tmp_path / "b.tar.gz"], check=True, timeout=20
    )
    read = read_bundle("b", (tmp_path / "b.tar.gz").read_bytes())
    assert read.manifest.revision == "r1"
    assert read.data == {"a": {"n": 1}}
    assert len(read.modules) == 1


@pytest.mark.skipif(shutil.which("tar") is None, reason="no tar command")
def test_what_tar_packs_is_read(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "p.rego").write_bytes(module("a"))
    run = subprocess.run(
        ["tar", "-czf", "-", "-C", tmp_path, "."], capture_output=True, check=True, timeout=20
    )
    assert list(read_bundle("b", run.stdout).modules) == ["a/p.rego"]


def test_an_archive_is_read_with_its_limits():
    with pytest.raises(BundleFormatError, match="size_limit_bytes"):
        read_bundle("b", archive({"a": b"12345"}), size_limit_bytes=4)
