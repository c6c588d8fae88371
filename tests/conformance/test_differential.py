"""Random policies give the answers that `opa` gives."""

from __future__ import annotations

import pytest

from policy_agent.model import UNDEFINED
from policy_agent.rego import Policy
from tests.conformance.differential import Tally, compared, examples, reduced
from tests.conformance.opa_server import opa_server
from tests.support import OPA

COUNT = 200

BASE_DOCUMENT_BESIDE_RULES = """package a

one := 1

found if {
    data.a.base.users[name].age == 1
    some _ in {name}
}
"""

EQUAL_MEMBERS = """package a

member := "x"

repeated := [1 | some _ in {member, concat("", ["x"])}]
"""


@pytest.fixture(scope="module")
def opa():
    with opa_server() as server:
        yield server


@pytest.mark.conformance
@pytest.mark.opa
@pytest.mark.skipif(OPA is None, reason="no opa: set OPA_BIN or put it on the PATH")
def test_random_policies_give_opas_answers(opa):
    tally = Tally()
    for example in examples(COUNT):
        found = compared(example, opa)
        tally.add(found)
        assert not found.different, str(reduced(found, opa))
    assert tally.policies == COUNT
    # Most policies must come to an answer, or little is compared.
    assert tally.outcomes["value"] > tally.outcomes.total() / 2


def test_a_base_document_beside_rules_is_of_any_type():
    with Policy.from_modules({"a.rego": BASE_DOCUMENT_BESIDE_RULES}) as policy:
        assert policy.evaluate("a/found") is UNDEFINED


def test_equal_members_of_a_set_are_one():
    with Policy.from_modules({"a.rego": EQUAL_MEMBERS}) as policy:
        assert policy.evaluate("a/repeated") == [1]
