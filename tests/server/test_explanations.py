"""Explanations: the parameter `explain`, beside the real OPA where its traces are the same."""

import json

import pytest

from policy_agent.explaining import Explainer
from policy_agent.model import Bundle, Manifest, Snapshot
from policy_agent.rego import Policy
from tests.server.beside_opa import ask, same
from tests.support import needs_opa

MODULES = {
    "app.rego": """package app

allow if {
	some role in input.roles
	trace(role)
	role == "admin"
}
"""
}


@pytest.fixture
def explained(client, harness):
    bundle = Bundle("main", Manifest("r1"), MODULES, {})
    harness.decisions.snapshot = Snapshot(Policy.from_modules(MODULES), {"main": bundle})
    return client


def ask_for(client, parameters, roles):
    body = {"input": {"roles": roles}}
    return client.post(f"/v1/data/app/allow?{parameters}", json=body).json()


def test_notes_are_shown_with_what_led_to_them(explained, harness):
    answer = ask_for(explained, "explain=notes&pretty", ["user", "admin"])
    assert answer["result"] is True
    notes = [line for line in answer["explanation"] if "Note" in line]
    assert [line.split()[-1] for line in notes] == ['"user"', '"admin"']
    [decision] = harness.recorded
    assert decision.result is True


def test_events_have_the_form_of_opas_server(explained):
    events = ask_for(explained, "explain=full", ["admin"])["explanation"]
    assert {event["op"] for event in events} >= {"enter", "eval", "exit", "note"}
    for event in events:
        wanted = {"op", "query_id", "parent_id", "type", "node", "locals"}
        assert event.keys() - {"message"} == wanted
        assert event["type"] in ("rule", "body", "expr", "")
    [role] = {
        local["value"]["value"]
        for event in events
        for local in event["locals"]
        if local["value"]["type"] == "string"
    }
    assert role == "admin"


@pytest.mark.parametrize(
    ("parameters", "is_shown"),
    [
        ("explain=full", True),
        ("explain=notes", False),
        ("explain=fails", False),
        ("explain=none", False),
        ("explain=none&explain=full", True),
        ("explain", False),
    ],
)
def test_of_what_is_undefined_only_the_full_trace_is_shown(explained, parameters, is_shown):
    assert ("explanation" in ask_for(explained, parameters, ["user"])) is is_shown


def test_a_query_is_explained_too(explained):
    body = {"query": "x := data.app.allow", "input": {"roles": ["admin"]}}
    answer = explained.post("/v1/query?explain=notes&pretty", json=body).json()
    assert answer["result"] == [{"x": True}]
    assert any("Note" in line for line in answer["explanation"])


def test_what_was_compiled_for_a_snapshot_is_kept_until_the_next():
    explainer = Explainer(1)
    bundle = Bundle("main", Manifest("r1"), MODULES, {})
    first, second = (Snapshot(Policy.from_modules(MODULES), {"main": bundle}) for _ in range(2))
    texts = [
        explainer.explain(snapshot, "data.app.allow", {"roles": roles}, mode="notes", pretty=True)
        for snapshot, roles in ((first, ["a"]), (first, ["b"]), (second, ["c"]))
    ]
    assert [json.loads(text)[-1].split()[-1] for text in texts] == ['"a"', '"b"', '"c"']


@pytest.mark.opa
@pytest.mark.parametrize(("word", "parameters"), [("a", ""), ("b", "&metrics=false"), ("c", "")])
@needs_opa[1]
def test_notes_are_opas(ports, word, parameters):
    target = f"/v1/data/app/noted?explain=notes&pretty{parameters}"
    body = json.dumps({"input": {"word": word}})
    theirs, ours = (json.loads(ask(port, "POST", target, body)[2]) for port in ports)

    def notes(answer):
        return [line.split()[-2:] for line in answer.get("explanation", ()) if "Note" in line]

    assert notes(ours) == notes(theirs)
    assert ours.keys() == theirs.keys()


@pytest.mark.opa
@needs_opa[1]
def test_without_notes_there_is_nothing_to_note(ports):
    for path in ("app/allow", "base/text", "none"):
        same(ports, "GET", f"/v1/data/{path}?explain=notes")


LABELLED = {
    "app.rego": """# METADATA
# labels: {team: policy, level: low}
package app

# METADATA
# labels: {level: high}
allow if input.user

other := 1
"""
}


def test_the_labels_of_rules_that_held_are_told(client, harness):
    bundle = Bundle("main", Manifest("r1"), LABELLED, {})
    harness.decisions.snapshot = Snapshot(Policy.from_modules(LABELLED), {"main": bundle})
    target = "/v1/data/app/allow?rule_labels"
    answer = client.post(target, json={"input": {"user": "u"}}).json()
    assert list(answer) == ["decision_id", "result", "rule_labels"]
    assert answer["rule_labels"] == [{"team": "policy", "level": "high"}]
    assert "rule_labels" not in client.post(target, json={"input": {}}).json()
    body = {"query": "x := data.app.other"}
    answer = client.post("/v1/query?rule_labels=true", json=body).json()
    assert answer["rule_labels"] == [{"team": "policy", "level": "low"}]


@pytest.mark.opa
@pytest.mark.parametrize("path", ["other/both", "other/one", "other/word", "app/allow", "none"])
@pytest.mark.parametrize("given", [{}, {"one": 1}, {"one": 1, "two": 1, "user": "bob"}])
@needs_opa[1]
def test_labels_are_opas(ports, path, given):
    body = json.dumps({"input": given})
    theirs, ours = (
        json.loads(ask(port, "POST", f"/v1/data/{path}?rule_labels", body)[2]) for port in ports
    )
    assert ours.keys() == theirs.keys()
    assert ours.get("rule_labels") == theirs.get("rule_labels")
