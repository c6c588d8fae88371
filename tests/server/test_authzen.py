"""AuthZEN by the OpenID Foundation's certification scenario, with a policy written in Rego."""

from typing import Any

import httpx
import pytest

from policy_agent.config import AuthZen, parse_config
from policy_agent.errors import ConfigError
from policy_agent.model import UNDEFINED, Bundle, Manifest, Snapshot
from policy_agent.rego import Policy
from policy_agent.server.app import App
from policy_agent.server.authzen import verdict_of
from policy_agent.server.services import Services
from tests.server.conftest import LIMITS, Harness, running

POLICY = """package records

default allow := false

allow if input.action.name == "read"

allow if {
	input.action.name == "write"
	input.subject.id == "alice"
	not archived
}

allow if {
	input.action.name == "write"
	input.subject.properties.role == "admin"
	archived
}

allow if {
	input.action.name == "delete"
	input.action.properties.soft
}

archived if input.resource.properties.status == "archived"

decision := {"allow": allow, "obligations": obligations, "reasons": reasons}

obligations := input.context.demand if input.context.demand

else := []

reasons contains "only reading" if not allow

users := [{"type": "user", "id": name} | some name in ["alice", "bob"]]

subjects := [user |
	some user in users
	allow with input.subject as object.union(user, roles[user.id])
]

roles := {"alice": {}, "bob": {"properties": {"role": "admin"}}}

records := [
	{"type": "record", "id": "record-1", "properties": {"status": "active"}},
	{"type": "record", "id": "record-2", "properties": {"status": "archived"}},
]

resources contains {"type": found.type, "id": found.id} if {
	some found in records
	allow with input.resource as found
}

actions contains {"name": name} if {
	some name in ["read", "write", "delete"]
	input.subject.id in {"alice", "bob"}
	allow with input.action as {"name": name}
}
"""
Entity = dict[str, Any]
CONFIG = AuthZen(
    decision="records/decision",
    searches={
        "subject": "records/subjects",
        "resource": "records/resources",
        "action": "records/actions",
    },
)
ALICE: Entity = {"type": "user", "id": "alice"}
BOB: Entity = {"type": "user", "id": "bob"}
ADMIN: Entity = {**BOB, "properties": {"role": "admin"}}
READ: Entity = {"name": "read"}
WRITE: Entity = {"name": "write"}
RECORD: Entity = {"type": "record", "id": "record-1"}
ACTIVE = {**RECORD, "properties": {"status": "active"}}
ARCHIVED = {"type": "record", "id": "record-2", "properties": {"status": "archived"}}
EVALUATION, EVALUATIONS = "/access/v1/evaluation", "/access/v1/evaluations"


@pytest.fixture(scope="module")
def authzen():
    harness = Harness()
    policy = Policy.from_modules({"records.rego": POLICY})
    bundle = Bundle("main", Manifest("r1"), {}, {})
    harness.decisions.snapshot = Snapshot(policy, {"main": bundle})
    services = Services(
        decisions=harness.decisions,
        overview=harness,
        freshness=harness,
        limits=LIMITS,
        default_decision="records/allow",
        show_decision_ids=True,
        authzen=CONFIG,
    )
    with running(App(services)) as url, httpx.Client(base_url=url) as client:
        yield client, harness


@pytest.fixture
def pdp(authzen):
    authzen[1].recorded.clear()
    return authzen[0]


def ask(subject=ALICE, action=READ, resource=RECORD, **more):
    return {"subject": subject, "action": action, "resource": resource, **more}


@pytest.mark.parametrize(
    ("request_", "decision"),
    [
        (ask(), True),
        (ask(action=WRITE), True),
        (ask(BOB), True),
        (ask(BOB, WRITE), False),
        (ask(context={"time": "2025-06-27T18:03-07:00", "ip": "192.168.1.1"}), True),
        (ask(ALICE, WRITE, ARCHIVED), False),
        (ask(ADMIN, WRITE, ARCHIVED), True),
        (ask(action={"name": "delete", "properties": {"soft": True}}), True),
        (ask(action={"name": "delete", "properties": {"soft": False}}), False),
        (ask({**ALICE, "properties": {"department": "Sales"}}, resource=ACTIVE), True),
        (ask(foo="bar", futureField={"nested": True}), True),
    ],
)
def test_an_evaluation_is_decided(pdp, authzen, request_, decision):
    for path in (EVALUATION, EVALUATIONS):
        answer = pdp.post(path, json=request_)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["decision"] is decision
        assert answer.json()["context"]["decision_id"] == "id-1"
    recorded = authzen[1].recorded[0]
    assert recorded.path == "records/decision"
    assert recorded.mapped_result == {"decision": decision}
    assert recorded.input.keys() <= {"subject", "action", "resource", "context"}


@pytest.mark.parametrize(
    ("content", "content_type", "message"),
    [
        ('{"action":{"name":"a"},"resource":{"type":"t","id":"i"}}', None, "subject is missing"),
        ('{"subject":{"type":"t","id":"i"},"action":{"name":"a"}}', None, "resource is missing"),
        ('{"subject":{"id":"i"}}', None, "subject.type is missing"),
        ('{"subject":{"type":"t"}}', None, "subject.id is missing"),
        ('{"subject":{"type":"t","id":""}}', None, "subject.id must be a string"),
        ('{"subject":{"type":"t","id":"i"},"action":{}}', None, "action.name is missing"),
        ('{"subject":{"type":"t","id":"i"},"action":{"name":1}}', None, "action.name must be"),
        ('{"subject":"alice"}', None, "subject must be an object"),
        ('{"subject":{"type":"t","id":"i","properties":1}}', None, "subject.properties"),
        ("{", None, "the body is not JSON"),
        ("", None, "the body is not JSON"),
        ("[]", None, "the body must be an object"),
        ("{}", "text/plain", "the content type must be application/json"),
    ],
)
def test_a_request_that_is_none_is_refused(pdp, authzen, content, content_type, message):
    headers = {"content-type": content_type or "application/json; charset=utf-8"}
    answer = pdp.post(EVALUATION, content=content, headers=headers)
    assert answer.status_code == 400
    assert message in answer.json()["message"]
    assert authzen[1].recorded == []


def test_the_callers_request_id_comes_back(pdp):
    headers = {"X-Request-ID": "bfe9eb29-ab87-4ca3-be83-a1d5d8305716"}
    for body in (ask(), {}):
        answer = pdp.post(EVALUATION, json=body, headers=headers)
        assert answer.headers["x-request-id"] == headers["X-Request-ID"]
    assert "x-request-id" not in pdp.post(EVALUATION, json=ask()).headers


def decisions_of(pdp, **request):
    answer = pdp.post(EVALUATIONS, json=request)
    assert answer.status_code == 200
    assert "decision" not in answer.json()
    return [each["decision"] for each in answer.json()["evaluations"]]


def test_evaluations_share_what_they_leave_out(pdp, authzen):
    both = [{"action": READ}, {"action": WRITE}]
    assert decisions_of(pdp, subject=BOB, resource=RECORD, evaluations=both) == [True, False]
    assert len({each.batch_decision_id for each in authzen[1].recorded}) == 1
    both = [{"subject": ALICE}, {"subject": ADMIN}]
    assert decisions_of(pdp, action=WRITE, resource=ARCHIVED, evaluations=both) == [False, True]
    both = [ask(), ask(BOB, WRITE)]
    assert decisions_of(pdp, evaluations=both) == [True, False]
    # An entity of the item replaces the shared one, but for the fields it must have.
    both = [{"resource": {"id": "record-1"}}, {"resource": ARCHIVED}]
    shared = {"type": "record", "properties": {"status": "archived"}}
    assert decisions_of(pdp, subject=ALICE, action=WRITE, resource=shared, evaluations=both) == [
        True,
        False,
    ]


def test_an_item_that_is_none_is_denied_alone(pdp):
    request = {"subject": ALICE, "action": READ, "evaluations": [{"resource": RECORD}, {}, 7]}
    first, second, third = pdp.post(EVALUATIONS, json=request).json()["evaluations"]
    assert first["decision"] is True
    error = {"status": 400, "message": "resource is missing"}
    assert second == {"decision": False, "context": {"error": error}}
    assert third["context"]["error"]["status"] == 400


@pytest.mark.parametrize(
    ("semantic", "expected"),
    [
        ("execute_all", [True, False, True]),
        ("deny_on_first_deny", [True, False]),
        ("permit_on_first_permit", [True]),
    ],
)
def test_evaluations_end_where_the_semantic_says(pdp, authzen, semantic, expected):
    items = [{"action": READ}, {"action": WRITE}, {"action": READ}]
    options = {"evaluations_semantic": semantic}
    got = decisions_of(pdp, subject=BOB, resource=RECORD, evaluations=items, options=options)
    assert got == expected
    assert len(authzen[1].recorded) == len(expected)


@pytest.mark.parametrize(
    "request_",
    [
        {"evaluations": {}},
        {"evaluations": [ask()], "options": 1},
        {"evaluations": [ask()], "options": {"evaluations_semantic": "some"}},
    ],
)
def test_evaluations_that_cannot_be_run_are_refused(pdp, request_):
    assert pdp.post(EVALUATIONS, json=request_).status_code == 400


def search(pdp, entity, request):
    answer = pdp.post(f"/access/v1/search/{entity}", json=request)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_searches_find_who_what_and_how(pdp):
    user, record = {"type": "user"}, {"type": "record"}
    assert search(pdp, "subject", ask(user)) == {"results": [ALICE, BOB]}
    assert search(pdp, "subject", ask(user, WRITE, ARCHIVED)) == {"results": [BOB]}
    assert RECORD in search(pdp, "resource", ask(resource=record))["results"]
    found = search(pdp, "resource", ask(ADMIN, WRITE, record))["results"]
    assert {"type": "record", "id": "record-2"} in found
    request = {"subject": ALICE, "resource": RECORD, "context": {}}
    assert search(pdp, "action", request)["results"] == [READ, WRITE]
    request = {"subject": ADMIN, "resource": ARCHIVED}
    assert WRITE in search(pdp, "action", request)["results"]
    nobody = {"subject": {"type": "user", "id": "nobody"}, "resource": RECORD}
    assert search(pdp, "action", nobody) == {"results": []}
    assert search(pdp, "subject", ask({"type": "spaceship"})) == {"results": []}


def test_an_id_of_what_is_searched_is_left_out(pdp, authzen):
    assert search(pdp, "subject", ask(ALICE)) == {"results": [ALICE, BOB]}
    assert authzen[1].recorded[0].input["subject"] == {"type": "user"}


@pytest.mark.parametrize(
    ("entity", "request_"),
    [
        ("subject", {"subject": {"type": "user"}, "resource": RECORD}),
        ("subject", ask({"type": "user"}, resource={"type": "record"})),
        ("resource", {"action": READ, "resource": {"type": "record"}}),
        ("resource", ask({"type": "user"}, resource={"type": "record"})),
        ("action", {"subject": ALICE}),
        ("subject", ask({"type": "user"}, page=1)),
        ("subject", ask({"type": "user"}, page={"limit": "1"})),
        ("subject", ask({"type": "user"}, page={"limit": -1})),
        ("subject", ask({"type": "user"}, page={"token": "x"})),
        ("subject", ask({"type": "user"}, page={"token": 1})),
    ],
)
def test_a_search_that_lacks_something_is_refused(pdp, entity, request_):
    assert pdp.post(f"/access/v1/search/{entity}", json=request_).status_code == 400


def test_results_come_in_pages(pdp):
    request = ask({"type": "user"})
    first = search(pdp, "subject", {**request, "page": {"limit": 1}})
    assert first["results"] == [ALICE]
    assert (first["page"]["count"], first["page"]["total"]) == (1, 2)
    token = first["page"]["next_token"]
    second = search(pdp, "subject", {**request, "page": {"token": token}})
    assert second["results"] == [BOB]
    assert second["page"]["next_token"] == ""
    other = {**ask({"type": "user"}, WRITE), "page": {"token": token}}
    assert pdp.post("/access/v1/search/subject", json=other).status_code == 400


def test_the_metadata_names_the_endpoints(pdp):
    base = str(pdp.base_url).rstrip("/")
    assert pdp.get("/.well-known/authzen-configuration").json() == {
        "policy_decision_point": base,
        "access_evaluation_endpoint": base + EVALUATION,
        "access_evaluations_endpoint": base + EVALUATIONS,
        "search_subject_endpoint": f"{base}/access/v1/search/subject",
        "search_resource_endpoint": f"{base}/access/v1/search/resource",
        "search_action_endpoint": f"{base}/access/v1/search/action",
        "supported_obligations": ["custom", "notification", "session_termination", "step-up"],
    }


def demanding(*obligations, **context):
    return ask(context={"demand": list(obligations), **context})


def test_obligations_have_the_profiles_form(pdp):
    step_up = {"id": "o", "type": "step-up", "properties": {"acr_value": "high"}}
    mask = {"type": "mask_fields", "fields": ["card"]}
    note = {"type": "notification", "to": "a@example.com", "body": "b"}
    answer = pdp.post(EVALUATION, json=demanding(step_up, mask, note)).json()
    assert answer["decision"] is True
    assert answer["context"]["obligations"] == [
        step_up,
        {"id": "obl-2", "type": "custom", "properties": mask},
        {
            "id": "obl-3",
            "type": "notification",
            "properties": {"to": "a@example.com", "body": "b"},
        },
    ]


def test_an_obligation_that_the_caller_cannot_fulfil_is_a_denial(pdp, authzen):
    request = demanding({"type": "mask_fields"}, supported_obligations=["step-up", "mask_fields"])
    answer = pdp.post(EVALUATION, json=request).json()
    assert answer["decision"] is False
    assert answer["context"]["reasons"] == ["an obligation is not supported: custom"]
    assert "obligations" not in answer["context"]
    recorded = authzen[1].recorded[0]
    assert (recorded.result["allow"], recorded.mapped_result) == (True, {"decision": False})
    request["context"]["supported_obligations"] = ["custom"]
    assert pdp.post(EVALUATION, json=request).json()["decision"] is True


@pytest.mark.parametrize("bad", [7, {}, {"type": 1}, {"type": "step-up", "properties": []},
                                 {"type": "custom", "id": 7}])  # fmt: skip
def test_an_obligation_that_is_none_is_a_denial(pdp, bad):
    answer = pdp.post(EVALUATION, json=demanding(bad)).json()
    assert answer["decision"] is False
    assert answer["context"]["error"]["status"] == 500


@pytest.mark.parametrize(
    ("value", "decision"),
    [
        (True, True),
        (False, False),
        (UNDEFINED, False),
        ("yes", False),
        (1, False),
        ({}, False),
        ({"allow": "true"}, False),
        ({"allow": True, "obligations": {}}, False),
        ({"allow": True, "context": 1}, False),
        ({"decision": True, "context": {"id": "x"}}, True),
        ({"decision": False, "allow": True}, False),
    ],
)
def test_nothing_but_a_clear_yes_is_a_permission(value, decision):
    assert verdict_of(value, {}, ("custom",)).decision is decision


def test_a_type_that_is_not_announced_is_a_denial():
    value = {"allow": True, "obligations": [{"type": "step-up"}]}
    assert verdict_of(value, {}, ("custom",)).decision is False
    assert verdict_of({**value, "allow": False}, {}, ("custom",)).context["obligations"]


def test_where_it_is_not_configured_it_is_not_there(client):
    assert client.post(EVALUATION, json=ask()).status_code == 404
    assert client.get("/.well-known/authzen-configuration").status_code == 404


def test_its_settings_are_checked():
    config = parse_config({"authzen": {"decision": "/a/b", "search": {"action": "a/c"}}})
    assert config.authzen.decision == "a/b"
    assert config.authzen.searches == {"action": "a/c"}
    with pytest.raises(ConfigError) as caught:
        parse_config({"authzen": {"supported_obligations": ["mask_fields"]}})
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "authzen.supported_obligations",
        "authzen.decision",
    ]
