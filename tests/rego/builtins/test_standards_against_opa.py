"""Built-ins that follow standards of others, by us and by the real OPA: values and errors."""

import pytest

from tests.rego.builtins.oracle import OPA, opa_outcomes, outcome
from tests.rego.builtins.standards_corpus import GROUPS

pytestmark = [
    pytest.mark.opa,
    pytest.mark.skipif(not OPA, reason="no opa: set OPA_BIN or put it on the PATH"),
]


@pytest.mark.parametrize("group", GROUPS)
def test_calls_have_the_values_and_errors_of_opa(tmp_path, group):
    wanted = GROUPS[group]()
    theirs = opa_outcomes(wanted, tmp_path)
    different = [
        f"{call}: {their} != {our}"
        for call, their, our in zip(wanted, theirs, map(outcome, wanted), strict=True)
        if their != our
    ]
    assert not different, f"{len(different)} of {len(wanted)}:\n" + "\n".join(different[:20])
