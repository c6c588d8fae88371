"""Every function with ordinary and odd arguments, by us and by the real OPA: values and errors."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from policy_agent.rego.builtins.catalog import HOME, resolve
from tests.rego.builtins.corpus import GROUPS
from tests.rego.builtins.oracle import OPA, opa_outcomes, outcome

pytestmark = [
    pytest.mark.opa,
    pytest.mark.skipif(not OPA, reason="no opa: set OPA_BIN or put it on the PATH"),
]

CALLS_AT_ONCE = 1000


@pytest.mark.parametrize("group", GROUPS)
def test_calls_have_the_values_and_errors_of_opa(tmp_path: Path, group: str):
    wanted = GROUPS[group]()
    theirs = [
        result
        for start in range(0, len(wanted), CALLS_AT_ONCE)
        for result in opa_outcomes(wanted[start : start + CALLS_AT_ONCE], tmp_path)
    ]
    ours = [outcome(call) for call in wanted]
    different = [
        f"{call}: {their} != {our}"
        for call, their, our in zip(wanted, theirs, ours, strict=True)
        if their != our
    ]
    assert not different, f"{len(different)} of {len(wanted)}:\n" + "\n".join(different[:20])


def test_every_function_of_opa_has_a_home_that_holds_it():
    assert OPA is not None
    told = subprocess.run([OPA, "capabilities", "--current"], capture_output=True, check=True)
    names = {builtin["name"] for builtin in json.loads(told.stdout)["builtins"]}
    missing = names - HOME.keys()
    unresolved = {name for name in names & HOME.keys() if resolve(name) is None}
    assert (missing, unresolved) == (set(), set())
