"""A short, repeatable slice of what `python -m tests.fuzz` does for as long as asked."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_agent.rego.plan_json import read_plan
from tests.fuzz.choices import Choices, edited_text
from tests.fuzz.seeds import plans, policies
from tests.fuzz.targets import TARGETS, assert_harmless, parser

repeatable = settings(max_examples=60, deadline=None, derandomize=True, database=None)


@pytest.mark.parametrize("target", TARGETS)
@repeatable
@given(raw=st.binary(max_size=60))
def test_any_bytes_end_in_a_value_or_an_error_of_ours(target, raw):
    TARGETS[target](raw)


@repeatable
@given(raw=st.binary(min_size=8, max_size=60))
def test_almost_policies_are_parsed_or_refused(raw):
    parser(edited_text(Choices(raw), policies()).encode())


def test_what_fuzzing_begins_with_is_sound():
    for raw in plans():
        read_plan(raw)
        TARGETS["plan-reader"](raw)


@pytest.mark.parametrize(
    "source",
    [
        "import os",
        "def f0(scope):\n    return scope.__class__",
        "def f0(scope):\n    return open",
        'def f0(scope):\n    return "text"',
    ],
)
def test_source_that_reaches_outside_is_noticed(source):
    with pytest.raises(AssertionError):
        assert_harmless(source)
