from __future__ import annotations

import pytest

from policy_agent.config import RulePaths
from policy_agent.decision_log.counters import Counters
from policy_agent.decision_log.ids import new_decision_id
from policy_agent.decision_log.mask import Pseudonyms
from policy_agent.decision_log.rules import LogRules
from policy_agent.errors import EvaluationError, PolicyProblem
from policy_agent.model import UNDEFINED
from policy_agent.number import Number

FAILURE = EvaluationError(PolicyProblem("eval_conflict_error", "hunter2"))
MASK, SAMPLE = "system/log/mask", "system/log/sample"


def events(count):
    return [{"decision_id": new_decision_id(), "input": {"n": n}} for n in range(count)]


@pytest.fixture
def rules():
    counters = Counters()
    return LogRules(RulePaths(), counters, Pseudonyms(b"secret")), counters


@pytest.mark.parametrize("rate", [0.25, Number("0.25")])
def test_a_sample_records_its_rate_and_weight_and_counts_the_rest(rules, policy_of, rate):
    applied, counters = rules
    policy = policy_of({SAMPLE: rate})
    kept = [kept for event in events(4000) if (kept := applied.apply(event, policy))]
    assert 850 < len(kept) < 1150  # five standard deviations
    assert counters.sampled_out == 4000 - len(kept)
    assert kept[0]["custom"] == {"sampling": {"rate": 0.25, "weight": 4}}


def test_the_same_decision_is_drawn_by_every_sink_and_by_every_larger_sample(rules, policy_of):
    applied, _ = rules
    for event in events(300):
        small = applied.apply(event, policy_of({SAMPLE: 0.3}))
        large = applied.apply(event, policy_of({SAMPLE: 0.6}))
        assert small is None or large is not None
        assert small == applied.apply(event, policy_of({SAMPLE: 0.3}))


@pytest.mark.parametrize(
    "value", [1, 2, 0, -0.5, True, "0.1", None, UNDEFINED, [0.1], float("nan"), FAILURE]
)
def test_what_is_no_share_records_everything_as_it_is(rules, policy_of, value):
    applied, counters = rules
    for event in events(50):
        assert applied.apply(event, policy_of({SAMPLE: value})) == event
    assert counters.sampled_out == 0


def test_a_sampled_event_is_masked_as_well(rules, policy_of):
    applied, _ = rules
    policy = policy_of({SAMPLE: 0.5, MASK: ["/input/n"]})
    kept = [kept for event in events(50) if (kept := applied.apply(event, policy))]
    assert {str(event["input"]) for event in kept} == {"{}"}
    assert kept[0]["custom"]["sampling"]["weight"] == 2


def pseudonym(path):
    return {"op": "pseudonym", "path": path}


def test_a_pseudonym_is_the_same_for_the_same_value_wherever_it_stands(rules, policy_of):
    applied, counters = rules
    policy = policy_of({MASK: [pseudonym("/input/user"), pseudonym("/result/owner")]})
    event = {"decision_id": "d", "input": {"user": "alice"}, "result": {"owner": "alice"}}
    masked = applied.apply(event, policy)
    token = masked["input"]["user"]
    assert token.startswith("pseudonym-")
    assert "alice" not in str(masked)
    assert masked["result"]["owner"] == token
    assert masked["masked"] == ["/input/user", "/result/owner"]
    assert counters.masked == 1
    other = applied.apply({**event, "input": {"user": "bob"}}, policy)
    assert other["input"]["user"] != token


@pytest.mark.parametrize(("one", "other"), [(1, "1"), (None, "null"), ({"a": 1}, {"a": 2})])
def test_different_values_have_different_pseudonyms_and_so_have_different_keys(one, other):
    pseudonyms = Pseudonyms(b"secret")
    assert pseudonyms.of(one) != pseudonyms.of(other)
    assert pseudonyms.of(one) != Pseudonyms(b"other").of(one)


def test_a_path_that_is_not_there_gets_no_pseudonym(rules, policy_of):
    applied, _ = rules
    event = {"decision_id": "d", "input": {"a": 1}}
    assert applied.apply(event, policy_of({MASK: [pseudonym("/input/user")]})) == event


def test_without_a_key_for_pseudonyms_the_event_is_withheld(policy_of):
    applied = LogRules(RulePaths(), Counters())
    event = {"decision_id": "d", "input": {"user": "alice"}}
    withheld = applied.apply(event, policy_of({MASK: [pseudonym("/input/user")]}))
    assert withheld is not None
    assert "input" not in withheld
    assert "pseudonym_key is not set" in withheld["custom"]["withheld"]
