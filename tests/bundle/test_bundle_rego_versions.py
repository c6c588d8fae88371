"""Modules are read in the version of Rego that their bundle's manifest says, as OPA reads them."""

import json
import re
import subprocess

import pytest

from policy_agent.bundle.activate import combine
from policy_agent.bundle.directory import read_directory
from policy_agent.bundle.reader import read_files
from policy_agent.errors import BundleFormatError, PolicyError
from policy_agent.model import UNDEFINED
from policy_agent.rego import Policy
from tests.support import OPA

V0 = """package old

import input.roles

default allow = false

allow { roles[_] == "admin" }

names[name] { name := input.names[_] }

lengths[name] = count(name) { names[name] }
"""
V1 = """package new

import data.old

allow if old.allow

names contains upper(name) if some name in old.names
"""
EITHER = """package imported

import rego.v1

allow if data.old.allow
"""
ERROR = re.compile(r"failed to compile .*|\w+\.rego:\d+: rego_\w+: .*")
INPUT = {"roles": ["admin"], "names": ["ann", "bo"]}
# name -> manifest and modules
BUNDLES = {
    "all v0": ({"rego_version": 0}, {"old.rego": V0}),
    "v0 with import rego.v1": ({"rego_version": 0}, {"a/old.rego": V0, "b.rego": EITHER}),
    "mixed by file": (
        {"rego_version": 0, "file_rego_versions": {"/b/new.rego": 1}},
        {"old.rego": V0, "b/new.rego": V1},
    ),
    "mixed by pattern": (
        {"rego_version": 1, "file_rego_versions": {"/old/*": 0}},
        {"old/deep/er/old.rego": V0, "new.rego": V1},
    ),
    "alternatives and classes": (
        {"file_rego_versions": {"/{old,older}/[a-c]?.rego": 0}},
        {"older/b1.rego": V0, "new.rego": V1},
    ),
    "the first pattern in order counts": (
        {"file_rego_versions": {"/a*": 0, "/a/*": 1, "/*": 1}},
        {"a/old.rego": V0},
    ),
    "a pattern needs the leading slash": (
        {"file_rego_versions": {"old.rego": 0}},
        {"old.rego": V0},
    ),
    "a wildcard does not stand for a slash of the pattern": (
        {"file_rego_versions": {"/*/old.rego": 0}},
        {"old.rego": V0},
    ),
    "v0 in v1": ({"rego_version": 1}, {"old.rego": V0}),
    "v0 without a word": ({}, {"old.rego": V0}),
    "v1 in v0": ({"rego_version": 0}, {"new.rego": V1, "old.rego": V0}),
    "malformed pattern": ({"file_rego_versions": {"{a,b": 0}}, {"new.rego": V0}),
}


def write(directory, manifest, modules):
    for path, text in modules.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(text)
    (directory / ".manifest").write_text(json.dumps(manifest))
    return directory


def opa_answer(directory):
    """Return OPA's value of `data`, or its errors."""
    command = [str(OPA), "eval", "-b", ".", "--stdin-input", "--format", "json", "data"]
    ended = subprocess.run(
        command, input=json.dumps(INPUT).encode(), capture_output=True, check=False, cwd=directory
    )
    answer = json.loads(ended.stdout)
    if "errors" in answer:
        (text,) = (error["message"] for error in answer["errors"])
        return set(ERROR.findall(text))
    return answer["result"][0]["expressions"][0]["value"]


def our_answer(directory):
    try:
        bundle = read_directory("b", directory)
        combined = combine({"b": bundle})
        with Policy.from_modules(
            combined.modules, bundle.data, rego_versions=combined.rego_versions
        ) as policy:
            return json.loads(json.dumps(policy.evaluate("", INPUT)))
    except PolicyError as exc:
        return set(ERROR.findall("\n".join(map(str, exc.problems))))
    except BundleFormatError as exc:
        return set(ERROR.findall(str(exc)))


@pytest.mark.opa
@pytest.mark.skipif(OPA is None, reason="no opa: set OPA_BIN or put it on the PATH")
@pytest.mark.parametrize("name", BUNDLES)
def test_a_bundle_runs_as_in_opa(name, tmp_path):
    directory = write(tmp_path, *BUNDLES[name])
    theirs = opa_answer(directory)
    assert theirs
    assert our_answer(directory) == theirs


def test_what_the_manifest_says_reaches_the_compiler(tmp_path):
    manifest, modules = BUNDLES["mixed by file"]
    bundle = read_directory("b", write(tmp_path, manifest, modules))
    assert bundle.rego_versions == {"old.rego": 0, "b/new.rego": 1}
    assert combine({"b": bundle}).rego_versions == {"b/old.rego": 0, "b/b/new.rego": 1}
    with Policy.from_bundle(tmp_path) as policy:
        assert policy.evaluate("new/names", INPUT) == ["ANN", "BO"]


def test_without_a_word_nothing_is_stated():
    assert read_files("b", {"a.rego": V1.encode()}).rego_versions == {}


def test_bundles_of_either_version_run_side_by_side():
    bundles = {
        name: read_files(name, {f"{package}.rego": text.encode(), ".manifest": manifest})
        for name, package, text, manifest in (
            ("one", "old", V0, b'{"roots": ["old"], "rego_version": 0}'),
            ("two", "new", V1, b'{"roots": ["new"]}'),
        )
    }
    combined = combine(bundles)
    with Policy.from_modules(
        combined.modules, combined.data, rego_versions=combined.rego_versions
    ) as policy:
        assert policy.evaluate("new/allow", INPUT) is True
        assert policy.evaluate("new/allow", {"roles": []}) is UNDEFINED
