import json
from datetime import UTC, datetime

import pytest

from policy_agent.auditor.extract import extract_row
from policy_agent.auditor.row import ResultKind
from policy_agent.errors import AuditError
from tests.auditor.audit_process import event


def extract(**fields):
    return extract_row(json.dumps(event("d-1", **fields)).encode(), "body-1")


def test_the_columns_of_a_usual_event():
    raw = json.dumps(event("d-1")).encode()
    row = extract_row(raw, "body-1")
    assert row.decision_id == "d-1"
    assert row.timestamp == datetime(2026, 11, 21, 10, 0, 0, 123457, UTC)
    assert row.path == "orders/authz/allow"
    assert json.loads(row.labels) == {"id": "instance-1", "version": "1.22.0", "function": "orders"}
    assert (row.function, row.subject, row.action) == ("orders", "alice", "read")
    assert row.result is ResultKind.ALLOW
    assert row.revisions == {"orders": "r1"}
    assert row.requested_by == "127.0.0.1:50000"
    assert row.error is None
    assert row.event == raw.decode()
    assert row.source == "body-1"


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        pytest.param({"result": True}, "allow", id="true"),
        pytest.param({"result": False}, "deny", id="false"),
        pytest.param({"result": {"allow": True}}, "allow", id="allow"),
        pytest.param({"result": {"allow": False, "allowed": True}}, "deny", id="allow goes first"),
        pytest.param({"result": {"allowed": False}}, "deny", id="allowed"),
        pytest.param({"result": {"allow": "yes"}}, "other", id="allow is no boolean"),
        pytest.param({"result": {"allow": 1}}, "other", id="one is not true"),
        pytest.param({"result": {}}, "other", id="empty object"),
        pytest.param({"result": [True]}, "other", id="array"),
        pytest.param({"result": None}, "undefined", id="none"),
        pytest.param({"result": True, "error": {}}, "error", id="error with a result"),
        pytest.param({"result": None, "error": "x"}, "error", id="error"),
    ],
)
def test_result_kinds(fields, kind):
    assert extract(**fields).result == kind


def test_a_result_of_null_is_there_but_says_nothing():
    raw = b'{"decision_id":"d","timestamp":"2026-11-21T10:00:00Z","result":null}'
    assert extract_row(raw, "body-1").result is ResultKind.OTHER


@pytest.mark.parametrize(
    ("document", "subject"),
    [
        pytest.param({"identity": {"sub": "a"}, "user": "b"}, "a", id="verified first"),
        pytest.param({"user": "b", "subject": "c"}, "b", id="user"),
        pytest.param({"user": {"id": 7}}, "7", id="number"),
        pytest.param({"subject": {"type": "user", "id": "c"}}, "c", id="authzen"),
        pytest.param({"principal": {"id": "p"}}, "p", id="principal"),
        pytest.param({"user": "", "sub": "s"}, "s", id="empty is no hit"),
        pytest.param({"user": True}, None, id="boolean is no name"),
        pytest.param("alice", None, id="no object"),
        pytest.param(None, None, id="no input"),
    ],
)
def test_the_first_subject_that_is_there(document, subject):
    assert extract(input=document).subject == subject


@pytest.mark.parametrize(
    ("document", "action"),
    [
        pytest.param({"action": "read"}, "read", id="text"),
        pytest.param({"action": {"name": "write"}, "method": "GET"}, "write", id="authzen"),
        pytest.param({"method": "GET"}, "GET", id="method"),
    ],
)
def test_actions(document, action):
    assert extract(input=document).action == action


@pytest.mark.parametrize(
    ("labels", "function"),
    [
        pytest.param({"app": "a", "function": "f"}, "f", id="function"),
        pytest.param({"app": "a", "function_name": "n"}, "n", id="function_name"),
        pytest.param({"app": "a"}, "a", id="app"),
        pytest.param({"id": "x"}, None, id="neither"),
        pytest.param(["app"], None, id="no object"),
    ],
)
def test_function_labels(labels, function):
    assert extract(labels=labels).function == function


@pytest.mark.parametrize(
    ("fields", "revisions"),
    [
        pytest.param({"bundles": {"b": {}, "a": {"revision": "1"}}}, {"a": "1", "b": ""}, id="two"),
        pytest.param({"bundles": None, "revision": "r0"}, {"": "r0"}, id="legacy"),
        pytest.param({"bundles": {"a": 5}}, {"a": ""}, id="odd bundle"),
        pytest.param({"bundles": [1]}, {}, id="odd bundles"),
        pytest.param({"bundles": None}, {}, id="none"),
    ],
)
def test_revisions(fields, revisions):
    assert extract(**fields).revisions == revisions


@pytest.mark.parametrize(
    ("error", "text"),
    [
        pytest.param({"code": "c", "message": "m", "location": {}}, "c: m", id="topdown"),
        pytest.param({"message": "m"}, "m", id="no code"),
        pytest.param({}, "{}", id="opa loses plain errors"),
        pytest.param([{"code": "c"}], '[{"code":"c"}]', id="compiler"),
        pytest.param("m", "m", id="text"),
    ],
)
def test_error_texts(error, text):
    assert extract(error=error).error == text


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param(b"5", "Expected `object`, got `int`", id="no object"),
        pytest.param(b"{}", "required field `decision_id`", id="empty"),
        pytest.param(b'{"timestamp":"2026-11-21T10:00:00Z"}', "decision_id", id="no id"),
        pytest.param(
            b'{"decision_id":"","timestamp":"2026-11-21T10:00:00Z"}', "decision_id", id="empty id"
        ),
        pytest.param(b'{"decision_id":"d"}', "required field `timestamp`", id="no timestamp"),
        pytest.param(b'{"decision_id":"d","timestamp":5}', "timestamp", id="number"),
        pytest.param(b'{"decision_id":"d","timestamp":"now"}', "RFC3339", id="no time"),
        pytest.param(
            b'{"decision_id":"d","timestamp":"2026-11-21T10:00:00"}', "timezone", id="no zone"
        ),
        pytest.param(
            b'{"decision_id":"d","timestamp":"9999-12-31T23:00:00-05:00"}', "9999", id="too late"
        ),
        pytest.param(b'{"decision_id":"d"', "line 1 column", id="no JSON"),
        pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deeply", id="deep"),
    ],
)
def test_what_is_no_event_is_refused_with_the_field(raw, reason):
    with pytest.raises(AuditError, match=reason):
        extract_row(raw, "body-1")


def test_reasons_do_not_show_values():
    raw = b'{"decision_id":"hush","timestamp":"hush","input":"hush"}'
    with pytest.raises(AuditError) as caught:
        extract_row(raw, "body-1")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(b'"\\ud800"', id="lone surrogate"),
        pytest.param(b'"\xff"', id="invalid UTF-8"),
        pytest.param(b"1e999", id="number out of range"),
        pytest.param(b"123456789012345678901234567890", id="large integer"),
    ],
)
def test_an_odd_input_does_not_lose_the_event(odd):
    raw = b'{"decision_id":"d","timestamp":"2026-11-21T10:00:00Z","path":5,"input":' + odd + b"}"
    row = extract_row(raw, "body-1")
    assert row.path is None
    assert row.event == raw.decode("utf-8", "replace")


def test_a_report_about_obligations_is_no_decision_and_hides_none():
    report = {"custom": {"fulfilment": {"decision_id": "d", "obligations": []}}}
    raw = {"decision_id": "e", "timestamp": "2026-11-21T10:00:00Z", **report}
    assert extract_row(json.dumps(raw).encode(), "b").result is ResultKind.FULFILMENT
    assert extract(**report).result is ResultKind.ALLOW
