"""The compiler's checks say what `opa check` says, and refuse nothing that it accepts."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from policy_agent.codec import decode_yaml
from policy_agent.errors import PolicyError, PolicyProblem
from policy_agent.rego.check.stages import PolicyChecks, compile_checked
from policy_agent.rego.parse import parse_module
from tests.rego.check.broken_policies import BROKEN
from tests.rego.check.sound_policies import SOUND
from tests.support import OPA, needs_opa

OPA_SOURCE = Path(
    os.environ.get("OPA_SOURCE")
    or Path.home() / "go/pkg/mod/github.com/open-policy-agent/opa@v1.22.0"
)


def problems(
    sources: dict[str, str], *, max_errors: int = 0, **options: Any
) -> list[PolicyProblem]:
    try:
        modules = [parse_module(file, source) for file, source in sources.items()]
        compile_checked(modules, PolicyChecks(**options), max_errors=max_errors)
    except PolicyError as exc:
        return exc.problems
    return []


def named(texts: tuple[str, ...]) -> dict[str, str]:
    return {f"{chr(ord('a') + index)}.rego": text for index, text in enumerate(texts)}


def opa_check(sources: dict[str, str], folder: Path, *flags: str) -> str:
    for file, text in sources.items():
        (folder / file).write_text(text)
    assert OPA is not None
    command = [OPA, "check", "-m", "0", *flags, *sources]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stderr


@pytest.mark.parametrize("name", BROKEN)
def test_every_broken_policy_is_refused(name):
    assert problems(named(BROKEN[name]))


@pytest.mark.parametrize("name", SOUND)
def test_every_sound_policy_is_accepted(name):
    assert problems(named(SOUND[name])) == []


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs_opa) for name in BROKEN])
def test_problems_are_those_of_opa(name, tmp_path):
    sources = named(BROKEN[name])
    found = problems(sources)
    wanted = json.loads(opa_check(sources, tmp_path, "-f", "json"))["errors"]
    assert [problem.to_json() for problem in found] == [
        {key: error[key] for key in ("code", "message", "location")} for error in wanted
    ]


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs_opa) for name in BROKEN])
def test_details_are_printed_as_opa_prints_them(name, tmp_path):
    sources = named(BROKEN[name])
    found = "\n".join(map(str, problems(sources)))
    printed = opa_check(sources, tmp_path)
    assert printed.split("occurred:", 1)[1].strip() == found


def several(seed: int, count: int) -> dict[str, str]:
    """Return so many broken policies side by side, each in packages of its own."""
    # A call of what has no name is found before anything else here, but later in OPA.
    names = [name for name in sorted(BROKEN) if not name.startswith("undefined_function_")]
    return {
        f"{number:02}_{file}": re.sub(r"(?m)^package ", f"package k{number}.", text)
        for number, name in enumerate(Random(seed).sample(names, count))
        for file, text in named(BROKEN[name]).items()
    }


@pytest.mark.opa
@pytest.mark.skipif(OPA is None, reason="no opa: set OPA_BIN or put it on the PATH")
@pytest.mark.parametrize(
    ("seed", "count", "limit"),
    [
        *(pytest.param(seed, 3, 0, id=f"three_{seed}") for seed in range(20)),
        *(pytest.param(seed, 16, 10, id=f"many_{seed}") for seed in range(5)),
    ],
)
def test_problems_of_several_broken_policies_are_those_of_opa(seed, count, limit, tmp_path):
    sources = several(seed, count)
    found = problems(sources, max_errors=limit)
    wanted = json.loads(opa_check(sources, tmp_path, "-f", "json", "-m", str(limit)))["errors"]
    assert [(problem.code, problem.message) for problem in found] == [
        (error["code"], error["message"]) for error in wanted
    ]


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs_opa) for name in SOUND])
def test_opa_accepts_the_sound_policies(name, tmp_path):
    assert opa_check(named(SOUND[name]), tmp_path) == ""


def conformance_cases() -> Iterator[dict[str, Any]]:
    folder = OPA_SOURCE / "v1/test/cases/testdata/v1"
    for file in sorted(folder.rglob("*.yaml"))[::3]:
        yield from decode_yaml(file.read_bytes())["cases"]


@pytest.mark.opa
@pytest.mark.skipif(not OPA_SOURCE.is_dir(), reason="no source of OPA: set OPA_SOURCE")
def test_no_policy_of_the_conformance_cases_is_refused():
    refused = {}
    for case in conformance_cases():
        sources = named(tuple(case.get("modules") or ()))
        expected = (case.get("want_error_code") or "").startswith("rego_")
        found = [] if expected else problems(sources)
        # OPA's tests register functions of their own.
        own = [each for each in found if "undefined function test." not in each.message]
        if own:
            refused[case["note"]] = own[0].message
    assert refused == {}
