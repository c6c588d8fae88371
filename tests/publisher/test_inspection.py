import json

import pytest

from policy_agent.errors import BundleFormatError
from policy_agent.publisher.inspection import inspect_bundle, inspect_module
from policy_agent.publisher.inspection_report import inspection_text

FILES = {
    ".manifest": b'{"revision": "r1", "roots": ["app", "acl"], "metadata": {"owner": "team"}}',
    "acl/data.yaml": b"a: 1\n",
    "app/data.json": b"{}",
    "app/a.rego": b"package app\n",
    "app/b.rego": b"# about b\npackage app\n",
    "app/c.rego": b'package app["x-y"].if\n',
    "README.md": b"",
}


def test_packages_and_data_are_listed_by_where_they_stand():
    assert inspect_bundle(FILES) == {
        "manifest": {"revision": "r1", "roots": ["app", "acl"], "metadata": {"owner": "team"}},
        "signatures_config": {},
        "namespaces": {
            "data.acl": ["acl/data.yaml"],
            "data.app": ["app/a.rego", "app/b.rego", "app/data.json"],
            'data.app["x-y"]["if"]': ["app/c.rego"],
        },
    }


def test_a_bundle_without_manifest_owns_everything():
    info = inspect_bundle({"data.json": b"{}"})
    assert info["manifest"] == {"revision": "", "roots": [""]}
    assert info["namespaces"] == {"data": ["data.json"]}


def test_bundles_that_this_engine_does_not_run_are_inspected():
    manifest = {
        "roots": ["app"],
        "rego_version": 0,
        "file_rego_versions": {"/app/*": 1},
        "wasm": [{"entrypoint": "app/allow", "module": "/policy.wasm"}],
    }
    files = {
        ".manifest": json.dumps(manifest).encode(),
        "policy.wasm": b"\0asm",
        "other.wasm": b"\0asm",
        "app/p.rego": b"package app\n",
    }
    info = inspect_bundle(files, shown=lambda path: f"src/{path}")
    assert info["manifest"] == {
        **manifest,
        "revision": "",
        "wasm": [{"entrypoint": "app/allow", "module": "src/policy.wasm"}],
    }
    assert info["namespaces"]["data.app.allow"] == ["src/policy.wasm"]
    assert info["wasm_modules"] == [
        {"path": "src/policy.wasm", "url": "src/policy.wasm", "entrypoints": ["data.app.allow"]},
        {"path": "src/other.wasm", "url": "src/other.wasm", "entrypoints": None},
    ]


def test_signatures_are_shown_as_they_are():
    signatures = {"signatures": ["a.b.c"], "plugin": "_default"}
    files = FILES | {".signatures.json": json.dumps(signatures).encode()}
    assert inspect_bundle(files)["signatures_config"] == signatures


def test_a_single_module_is_inspected():
    assert inspect_module("p.rego", b"package app\n") == {
        "signatures_config": {},
        "namespaces": {"data.app": ["p.rego"]},
    }


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        pytest.param({".manifest": b"{"}, ".manifest: line 1", id="manifest"),
        pytest.param({".manifest": b"[]"}, ".manifest: must be an object", id="manifest kind"),
        pytest.param({".manifest": b'{"roots": 1}'}, "roots must be a list", id="roots"),
        pytest.param({".manifest": b'{"wasm": [{"module": 1}]}'}, "wasm must be a list", id="wasm"),
        pytest.param({".manifest": b'{"wasm": 1}'}, "wasm must be a list", id="wasm kind"),
        pytest.param({".signatures.json": b"x"}, ".signatures.json: line 1", id="signatures"),
        pytest.param({"p.rego": b"allow"}, "p.rego: package expected", id="no package"),
        pytest.param({"p.rego": b"\xff"}, "p.rego: is not UTF-8 at byte 0", id="not UTF-8"),
    ],
)
def test_malformed_files_are_named(files, problem):
    with pytest.raises(BundleFormatError, match=problem):
        inspect_bundle(files)


def test_the_report_names_shared_namespaces_once():
    manifest = {"revision": "r1", "roots": ["app"], "rego_version": 1}
    namespaces = {"data.app": ["app/a.rego", "app/b.rego"]}
    assert inspection_text({"manifest": manifest, "namespaces": namespaces}) == (
        "MANIFEST:\n"
        "┌──────────────┬───────┐\n"
        "│    FIELD     │ VALUE │\n"
        "├──────────────┼───────┤\n"
        "│ Rego Version │ 1     │\n"
        "│ Revision     │ r1    │\n"
        "│ Roots        │ app   │\n"
        "└──────────────┴───────┘\n"
        "NAMESPACES:\n"
        "┌───────────┬────────────┐\n"
        "│ NAMESPACE │    FILE    │\n"
        "├───────────┼────────────┤\n"
        "│ data.app  │ app/a.rego │\n"
        "│           │ app/b.rego │\n"
        "└───────────┴────────────┘\n"
    )


def test_there_is_no_report_of_an_empty_bundle():
    assert inspection_text(inspect_bundle({})) == ""
