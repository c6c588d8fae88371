import time

import pytest

from policy_agent.decision.answers import Answer, Answers, question_key
from policy_agent.model import Bundle, Manifest, Snapshot
from policy_agent.rego import Policy
from policy_agent.rego.check.signatures import NONDETERMINISTIC
from policy_agent.rego.options import CHANGING_BUILTINS
from tests.decision.running import running_agent
from tests.decision.tokens import AUDIENCE, ISSUER, jwk, token
from tests.support import TableEvaluator, control_plane, make_bundle

REGO = """package app

allow if input.n == 1

who := input.identity.claims.sub

now := time.now_ns()

bad := "a" if input.n == 1

bad := "b" if input.n == 1
"""
# A plan is judged as a whole, so what changes is in a bundle without one.
CACHE = {"decision_cache": {}}


def snapshot():
    return Snapshot(TableEvaluator({}), {"b": Bundle("b", Manifest("r"), {}, {})})


def test_answers_are_kept_until_the_policies_change():
    answers, policies = Answers(10_000), snapshot()
    assert answers.find(policies, b"k") is None
    answers.keep(b"k", Answer({"allow": True}))
    assert answers.find(policies, b"k") == Answer({"allow": True})
    assert answers.find(snapshot(), b"k") is None


def test_the_oldest_answers_make_room():
    answers, policies = Answers(1000), snapshot()
    answers.find(policies, b"")
    for key in (b"1", b"2"):
        answers.keep(key, Answer(True))
    answers.find(policies, b"1")
    answers.keep(b"3", Answer(True))
    kept = [key for key in (b"1", b"2", b"3") if answers.find(policies, key)]
    assert kept == [b"1", b"3"]
    answers.keep(b"large", Answer("x" * 100))
    assert answers.find(policies, b"large") is None


def test_questions_differ_by_path_caller_strictness_and_body():
    asked = [
        question_key("a", "", b"b", strict=False),
        question_key("a", "", b"b", strict=True),
        question_key("a", "b", b"", strict=False),
        question_key("ab", "", b"", strict=False),
        question_key("", "a", b"b", strict=False),
    ]
    assert len(set(asked)) == len(asked)


def test_an_answer_is_given_again_as_a_decision_of_its_own(tmp_path):
    with control_plane() as plane, running_agent(plane, tmp_path, REGO, **CACHE) as agent:
        ids = {agent.decide("app/allow", {"n": 1})["decision_id"] for _ in range(3)}
        assert "result" not in agent.decide("app/allow", {"n": 2})
        agent.call(agent.agent.flush(5))
        hits = [event.get("custom", {}).get("cache_hit", False) for event in plane.decisions]
        assert (len(ids), hits) == (3, [False, True, True, False])
        assert all(event["input"] for event in plane.decisions)
        assert [event["result"] for event in plane.decisions[:3]] == [True] * 3
        rules = [event["custom"].get("rules") for event in plane.decisions]
        assert rules == [["data.app.allow app/app.rego:3"]] * 3 + [None]


def test_a_new_revision_is_asked_anew(tmp_path):
    with control_plane() as plane, running_agent(plane, tmp_path, REGO, **CACHE) as agent:
        for _ in range(2):
            assert agent.decide("app/allow", {"n": 1})["result"] is True
        plane.bundles["app"] = make_bundle({"app.rego": "package app"}, revision="r2")
        agent.call(agent.agent.bundles._update(["app"], 5))
        assert "result" not in agent.decide("app/allow", {"n": 1})


def test_what_depends_on_more_than_the_question_is_never_kept(tmp_path):
    with control_plane() as plane, running_agent(plane, tmp_path, REGO, **CACHE) as agent:
        assert agent.decide("app/now", {})["result"] != agent.decide("app/now", {})["result"]
        for _ in range(2):
            answer = agent.client.post("/v1/data/app/bad", json={"input": {"n": 1}})
            assert answer.json()["errors"][0]["code"] == "eval_conflict_error"


@pytest.mark.parametrize("is_on", [False, True])
def test_what_the_clock_said_is_logged_where_that_is_wanted(tmp_path, is_on):
    settings = {"nd_builtin_cache": is_on}
    with control_plane() as plane, running_agent(plane, tmp_path, REGO, **settings) as agent:
        now = agent.decide("app/now", {})["result"]
        agent.call(agent.agent.flush(5))
        [event] = plane.decisions
        expected = {"time.now_ns": {"[]": now}} if is_on else None
        assert event.get("nd_builtin_cache") == expected


def test_a_caller_is_identified_for_every_answer(tmp_path):
    settings = {"issuer": ISSUER, "audiences": [AUDIENCE], "jwks": {"keys": [jwk("k1")]}}
    identity = {"issuers": {"corp": settings}, "clock_skew_seconds": 0}
    with (
        control_plane() as plane,
        running_agent(plane, tmp_path, REGO, identity=identity, **CACHE) as agent,
    ):
        expires_at = int(time.time()) + 2
        brief = token(exp=expires_at)
        for _ in range(2):
            assert agent.decide("app/who", {}, authorization=brief)["result"] == "alice"
        bob = token(sub="bob")
        assert agent.decide("app/who", {}, authorization=bob)["result"] == "bob"
        agent.call(agent.agent.flush(5))
        assert plane.decisions[1]["custom"]["cache_hit"]
        agent.agent._callers._verifier._wall = lambda: expires_at + 1.0
        answer = agent.decide("app/who", {}, authorization=brief)
        assert answer["warning"]["code"] == "token_expired"


def test_every_builtin_that_may_change_its_mind_is_known():
    assert NONDETERMINISTIC <= CHANGING_BUILTINS


@pytest.mark.parametrize(("rule", "repeatable"), [("allow", True), ("now", False)])
def test_a_policy_knows_which_of_its_documents_can_change(rule, repeatable):
    policy = Policy.from_modules({"app.rego": REGO})
    path = ("app", rule)
    assert not policy.is_repeatable(path)  # nobody has asked for it yet
    policy.evaluate(path, {"n": 1})
    assert policy.is_repeatable(path) is repeatable
    planned = Policy.from_modules({"app.rego": REGO}, plan=policy.plan(["app/allow", "app/now"]))
    assert not planned.is_repeatable(path)
    alone = Policy.from_modules({"app.rego": REGO}, plan=policy.plan([f"app/{rule}"]))
    assert alone.is_repeatable(path) is repeatable
