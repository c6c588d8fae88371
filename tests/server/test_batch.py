"""`POST /v1/batch/data`: one call, many decisions, each with its own id and log entry."""

import pytest

from policy_agent.errors import EvaluationError, PolicyProblem
from policy_agent.server.request import merged


@pytest.fixture(autouse=True)
def numbered_ids(harness):
    numbers = iter(range(10_000))
    old = harness.decisions.new_id
    harness.decisions.new_id = lambda: f"id-{next(numbers)}"
    yield
    harness.decisions.new_id = old


def test_each_input_is_a_decision_with_its_own_id_and_entry(client, harness):
    body = {"inputs": {"b": {"user": "eve"}, "a": {"user": "bob"}}}
    answer = client.post("/v1/batch/data/orders/allow", json=body)
    assert answer.status_code == 200
    assert answer.json() == {
        "batch_decision_id": "id-0",
        "responses": {
            "a": {"decision_id": "id-1", "result": True},
            "b": {"decision_id": "id-2", "result": False},
        },
    }
    assert [
        (each.decision_id, each.batch_decision_id, each.input, each.path)
        for each in harness.recorded
    ] == [
        ("id-1", "id-0", {"user": "bob"}, "orders/allow"),
        ("id-2", "id-0", {"user": "eve"}, "orders/allow"),
    ]


def test_common_input_lies_under_each_input(client, harness):
    body = {
        "inputs": {"a": {"user": {"name": "bob"}}, "b": {"user": {"role": "x"}}, "c": 7},
        "common_input": {"user": {"role": "r"}, "action": "read"},
    }
    answer = client.post("/v1/batch/data/orders/echo", json=body).json()["responses"]
    assert answer["a"]["result"] == {"user": {"name": "bob", "role": "r"}, "action": "read"}
    assert answer["b"]["result"] == {"user": {"role": "x"}, "action": "read"}
    assert answer["c"]["result"] == 7


def fails_for_a(value):
    if value == "a":
        raise EvaluationError(PolicyProblem("eval_conflict_error", "two values"))
    return value


def test_some_failures_make_207_with_a_status_for_each(client, harness):
    harness.evaluator.documents["orders/fails"] = fails_for_a
    answer = client.post("/v1/batch/data/orders/fails", json={"inputs": {"1": "a", "2": "b"}})
    assert answer.status_code == 207
    failed, done = (answer.json()["responses"][key] for key in ("1", "2"))
    assert done == {"decision_id": "id-2", "http_status_code": "200", "result": "b"}
    assert failed == {
        "decision_id": "id-1",
        "http_status_code": "500",
        "code": "internal_error",
        "message": "error(s) occurred while evaluating query",
        "errors": [{"code": "eval_conflict_error", "message": "two values"}],
    }
    assert [decision.error is None for decision in harness.recorded] == [False, True]


def test_failures_alone_make_500(client, harness):
    harness.evaluator.documents["orders/fails"] = fails_for_a
    answer = client.post("/v1/batch/data/orders/fails", json={"inputs": {"1": "a"}})
    assert answer.status_code == 500
    assert "http_status_code" not in answer.json()["responses"]["1"]


def test_undefined_and_no_policy_are_no_failures(client, harness):
    answer = client.post("/v1/batch/data/orders/none", json={"inputs": {"1": {}}})
    assert answer.json()["responses"] == {"1": {"decision_id": "id-1"}}
    harness.decisions.snapshot = None
    answer = client.post("/v1/batch/data/orders/allow", json={"inputs": {"1": {}}})
    assert answer.status_code == 200
    assert answer.json()["responses"]["1"]["warning"]["code"] == "policy_unavailable"


def test_parameters_apply_to_each_response(client, harness):
    body = {"inputs": {"1": {}}}
    target = "/v1/batch/data/orders/text?metrics&provenance&pretty"
    answer = client.post(target, json=body)
    assert answer.text.startswith("{\n  ")
    assert answer.json()["metrics"]["timer_server_handler_ns"] > 0
    item = answer.json()["responses"]["1"]
    assert item["provenance"]["bundles"] == {"main": {"revision": "r1"}}
    assert item["metrics"]["timer_rego_query_eval_ns"] >= 0


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b'{"inputs":null}'])
def test_a_batch_without_inputs_is_warned_of(client, body):
    answer = client.post("/v1/batch/data/orders/allow", content=body)
    assert answer.status_code == 200
    assert answer.json()["warning"]["message"] == "'inputs' key missing from the request"
    assert answer.json()["responses"] == {}


@pytest.mark.parametrize("body", [b"[1]", b'{"inputs":[1]}', b'{"inputs":1}', b"{"])
def test_a_body_that_is_no_batch_is_refused(client, harness, body):
    answer = client.post("/v1/batch/data/orders/allow", content=body)
    assert answer.status_code == 400
    assert "malformed input document" in answer.json()["message"]
    assert harness.recorded == []


def test_a_batch_may_be_large_and_lets_others_through(client, harness):
    body = {"inputs": {str(number): number for number in range(150)}}
    answer = client.post("/v1/batch/data/orders/echo", json=body).json()["responses"]
    assert {int(key): item["result"] for key, item in answer.items()} == {
        number: number for number in range(150)
    }
    assert len(harness.recorded) == 150


def test_merging_leaves_what_is_shared_as_it_was():
    common = {"a": {"b": 1}}
    assert merged(common, {"a": {"c": 2}}) == {"a": {"b": 1, "c": 2}}
    assert common == {"a": {"b": 1}}
    assert merged(common, {"a": None}) == {"a": None}
