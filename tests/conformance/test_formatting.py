"""What `opa fmt` makes of the modules of OPA's conformance cases and repository, byte for byte."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from policy_agent.errors import PolicyError
from policy_agent.rego.format.formatter import Options, Target, format_module
from tests.conformance import cases
from tests.support import OPA

# `opa fmt` drops parentheses that say which `in` is meant; such a module is refused here.
REFUSED = {'package test\n\np if {\n\t"foo", (2 in {"bar": 2}) in {"foo": true}\n}\n'}

pytestmark = [
    pytest.mark.conformance,
    pytest.mark.opa,
    pytest.mark.skipif(OPA is None, reason="no opa: set OPA_BIN or put it on the PATH"),
    pytest.mark.skipif(cases.directory() is None, reason="OPA's cases are not on this machine"),
]


def modules_of_cases(syntax: str) -> set[str]:
    return {module for case in cases.load(syntax) for module in case.modules if module.strip()}


def modules_of_repository() -> set[str]:
    directory = cases.directory()
    assert directory is not None
    root = directory.parents[3]
    files = [*root.rglob("*.rego"), *(root / "v1/format/testfiles").rglob("*.rego.formatted*")]
    return {
        text for file in files if (text := file.read_bytes().decode("utf-8", "replace")).strip()
    }


def by_opa(directory: Path, sources: list[str], *flags: str) -> dict[str, str]:
    """Return what OPA makes of sources, all of which it must accept."""
    assert OPA is not None
    files = [directory / f"{number:05}.rego" for number in range(len(sources))]
    for file, source in zip(files, sources, strict=True):
        file.write_bytes(source.encode())
    done = subprocess.run(
        [OPA, "fmt", "-w", "--check-result=false", *flags, str(directory)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return {source: file.read_bytes().decode() for source, file in zip(sources, files, strict=True)}


def by_us(sources: set[str], options: Options) -> dict[str, str]:
    """Return what becomes of sources, without those that are refused."""
    formatted = {}
    for source in sources:
        try:
            formatted[source] = format_module("m.rego", source, options)
        except PolicyError:
            continue
    return formatted


def accepted_by_opa(directory: Path, sources: set[str]) -> set[str]:
    assert OPA is not None
    accepted = set()
    for source in sources:
        (directory / "one.rego").write_bytes(source.encode())
        command = [OPA, "fmt", "--check-result=false", str(directory / "one.rego")]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            accepted.add(source)
    return accepted


def test_v1_modules_are_formatted_as_by_opa(tmp_path):
    sources = modules_of_cases("v1") | modules_of_repository()
    mine = by_us(sources, Options())
    theirs = by_opa(tmp_path, sorted(mine))
    assert [source for source in mine if mine[source] != theirs[source]] == []
    assert len(mine) > 2_500
    assert accepted_by_opa(tmp_path, sources - mine.keys()) == REFUSED


@pytest.mark.parametrize(
    ("target", "flag"),
    [
        pytest.param(Target.V0, "--v0-compatible", id="v0"),
        pytest.param(Target.V0_V1, "--v0-v1", id="v0 and v1"),
    ],
)
def test_v0_modules_are_formatted_as_by_opa(tmp_path, target, flag):
    mine = by_us(modules_of_cases("v0"), Options(target=target))
    theirs = by_opa(tmp_path, sorted(mine), flag)
    assert [source for source in mine if mine[source] != theirs[source]] == []
    assert len(mine) > 1_500
