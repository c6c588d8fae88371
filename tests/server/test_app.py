import contextlib
import gzip
import http.client
import json

import pytest

from policy_agent.errors import DecisionLogError


def test_a_decision_is_answered_with_its_id_and_recorded_first(client, harness):
    answer = client.post("/v1/data/orders/allow", json={"input": {"user": "bob"}, "n": {"k": 1}})
    assert answer.content == b'{"decision_id":"id-1","result":true}\n'
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["vary"] == "Accept-Encoding"
    [decision] = harness.recorded
    assert decision.path == "orders/allow"
    assert decision.input == {"user": "bob"}
    assert decision.custom == {"request_metadata": {"n": {"k": 1}}}
    assert decision.revisions == {"main": "r1"}
    assert decision.requested_by.startswith("127.0.0.1:")
    assert decision.metrics["timer_rego_query_eval_ns"] > 0


def test_an_unrecorded_decision_is_not_answered(client, harness):
    harness.record_error = DecisionLogError("decision log spool is full")
    answer = client.post("/v1/data/orders/allow", json={"input": {"user": "bob"}})
    assert answer.status_code == 500
    assert answer.json() == {"code": "decision_log_error", "message": "decision log spool is full"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b"", "absent", id="empty body"),
        pytest.param(b"null", "absent", id="null body"),
        pytest.param(b"{}", "absent", id="no input key"),
        pytest.param(b'{"input":null}', "absent", id="null input"),
        pytest.param(b'{"INPUT":1}', 1, id="key case does not matter"),
        pytest.param(b'{"input":1,"input":2}', 2, id="last key wins"),
        pytest.param(b'{"input":1} trailing', 1, id="what follows is ignored"),
    ],
)
def test_the_input_of_a_v1_request_is_read_as_opa_reads_it(client, body, expected):
    answer = client.post("/v1/data/orders/echo", content=body).json()
    if expected == "absent":
        assert answer == {
            "decision_id": "id-1",
            "warning": {
                "code": "api_usage_warning",
                "message": "'input' key missing from the request",
            },
        }
    else:
        assert answer["result"] == expected


def test_the_input_of_a_get_is_a_parameter(client):
    answer = client.get("/v1/data/orders/echo", params={"input": '{"a":1}'})
    assert answer.json()["result"] == {"a": 1}
    assert client.get("/v1/data/orders/echo?input=null").json()["result"] is None
    assert "result" not in client.get("/v1/data/orders/echo").json()
    refused = client.get("/v1/data/orders/echo?input=")
    assert refused.status_code == 400
    assert refused.json()["message"].startswith("parameter contains malformed input document: ")


def test_a_v0_request_is_its_input_and_its_answer_the_bare_value(client):
    assert client.post("/v0/data/orders/allow", json={"user": "bob"}).content == b"true\n"
    assert client.post("/v0/data/orders/echo").content == b"null\n"
    assert client.post("/", content=b"{}").json() == "default"
    assert client.get("/v0/data/orders/allow").status_code == 405


@pytest.mark.parametrize(
    ("path", "word"), [("orders/echo2", "missing"), ("orders/list", "undefined")]
)
def test_an_undefined_v0_document_is_404_by_whether_rules_exist(client, path, word):
    answer = client.post(f"/v0/data/{path}", json={})
    assert answer.status_code == 404
    message = f"document {word}: data.{path.replace('/', '.')}"
    assert answer.json() == {"code": "undefined_document", "message": message}


def test_undefined_has_no_result(client):
    answer = client.post("/v1/data/orders/nothing", json={"input": 1})
    assert answer.content == b'{"decision_id":"id-1"}\n'


def test_a_policy_that_is_too_old_does_not_decide(client, harness):
    harness.refusal = "bundle main is 75 s old, max_age_seconds is 60"
    answer = client.post("/v1/data/orders/allow", json={"input": {"user": "bob"}}).json()
    assert "result" not in answer
    assert answer["warning"]["message"] == harness.refusal
    harness.refusal = ""
    answer = client.post("/v1/data/orders/allow", json={"input": {"user": "bob"}}).json()
    assert answer["result"] is True


def test_a_failed_evaluation_is_opas_500_and_is_recorded(client, harness):
    answer = client.post("/v1/data/orders/fails", json={"input": 1})
    assert answer.status_code == 500
    error = {
        "code": "eval_conflict_error",
        "message": "two values",
        "location": {"file": "a.rego", "row": 3, "col": 1},
    }
    assert answer.json() == {
        "code": "internal_error",
        "message": "error(s) occurred while evaluating query",
        "errors": [error],
    }
    assert answer.text.startswith('{\n  "code"')
    assert harness.recorded[0].error == error


def test_without_a_policy_nothing_is_allowed_and_the_answer_says_why(client, harness):
    harness.decisions.snapshot = None
    harness.decisions.unavailable = "no policy is active: bundle b: server replied with Not Found"
    answer = client.post("/v1/data/orders/allow", json={"input": {"user": "bob"}})
    assert answer.status_code == 200
    assert answer.json() == {
        "decision_id": "id-1",
        "warning": {
            "code": "policy_unavailable",
            "message": "no policy is active: bundle b: server replied with Not Found",
        },
    }
    assert harness.recorded[0].error["code"] == "policy_unavailable"
    old = client.post("/v0/data/orders/allow", json={})
    assert (old.status_code, old.json()["code"]) == (404, "undefined_document")


@pytest.mark.parametrize(
    ("content", "headers", "message"),
    [
        pytest.param(
            b"[1]", {}, "body contains malformed input document: array is not an object", id="array"
        ),
        pytest.param(b'{"input":', {}, "body contains malformed input document: ", id="cut JSON"),
        pytest.param(b"x" * 2001, {}, "2 KiB exceeds limit of 2000 bytes", id="too large"),
        pytest.param(
            b"x" * 10, {"content-encoding": "gzip"}, "gzip: invalid header", id="not gzip"
        ),
        pytest.param(
            gzip.compress(b'{"input":1}')[:-9], {"content-encoding": "gzip"},
            "unexpected EOF", id="cut gzip",
        ),
        pytest.param(
            gzip.compress(b" " * 3001), {"content-encoding": "gzip"},
            "decompressed size exceeds limit of 3000 bytes", id="gzip bomb",
        ),
    ],
)  # fmt: skip
def test_a_bad_body_is_refused_clearly(client, harness, content, headers, message):
    answer = client.post("/v1/data/orders/allow", content=content, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_parameter"
    assert message in answer.json()["message"]
    assert harness.recorded == []


def test_a_body_of_unknown_length_is_limited_too(client):
    answer = client.post("/v1/data/orders/allow", content=iter([b"x" * 1500] * 2))
    assert answer.status_code == 400
    assert "request body too large" in answer.json()["message"]


def test_gzip_and_yaml_bodies_are_read(client):
    packed = gzip.compress(b'{"input":') + gzip.compress(b"7}")
    answer = client.post(
        "/v1/data/orders/echo", content=packed, headers={"content-encoding": "gzip"}
    )
    assert answer.json()["result"] == 7
    answer = client.post(
        "/v1/data/orders/echo",
        content=b"input: {on: off}",
        headers={"content-type": "application/x-yaml"},
    )
    assert answer.json()["result"] == {"on": "off"}


def test_long_answers_are_gzipped_for_those_who_accept_it(client):
    for accept, encoding in (("gzip", "gzip"), ("br, gzip;q=0.5", "gzip"), ("gzip;q=0", None)):
        answer = client.get("/v1/data/orders/big", headers={"accept-encoding": accept})
        assert answer.headers.get("content-encoding") == encoding
        assert answer.json()["result"] == "x" * 200
    answer = client.get("/v1/data/orders/text", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in answer.headers
    assert b"a\\u003cb" in answer.content


def test_parameters_add_metrics_provenance_and_indentation(client):
    answer = client.get("/v1/data/orders/text?metrics&provenance=TRUE&pretty")
    assert list(answer.json()) == ["decision_id", "provenance", "metrics", "result"]
    assert answer.json()["provenance"]["bundles"] == {"main": {"revision": "r1"}}
    assert answer.json()["metrics"].keys() == {
        "timer_rego_input_parse_ns",
        "timer_rego_query_eval_ns",
        "timer_server_handler_ns",
    }
    assert answer.text.startswith('{\n  "decision_id"')
    assert "metrics" not in client.get("/v1/data/orders/text?metrics=1").json()


def test_path_segments_are_unescaped_and_integers_are_indexes(client, harness):
    seen = []
    harness.evaluator.evaluate = lambda path, input, **_: seen.append(path)
    client.get("/v1/data/a%2Fb/1/x%20y/01")
    assert seen == [("a/b", 1, "x y", 1)]
    assert harness.recorded[0].path == "a%2Fb/1/x%20y/01"
    answer = client.get("/v1/data/a%22b")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        ("PUT", "/v1/data/orders/x", 'path orders/x is owned by bundle "main"'),
        ("PATCH", "/v1/data/orders", 'path orders is owned by bundle "main"'),
        ("PUT", "/v1/data", "can't write to document root with bundle roots configured"),
        ("DELETE", "/v1/data/other", "path other cannot be written"),
        ("PUT", "/v1/policies/x", "path policies/x cannot be written"),
    ],
)
def test_writes_are_refused(client, method, path, message):
    answer = client.request(method, path, content=b"{}")
    assert answer.status_code == 400
    assert message in answer.json()["message"]


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("HEAD", "/v1/data/orders", 405, None),
        ("OPTIONS", "/v1/data/orders", 405, None),
        ("DELETE", "/v1/data", 405, None),
        ("POST", "/health", 405, "GET, HEAD"),
        ("GET", "/nope", 404, None),
        ("GET", "/v1/datax", 404, None),
    ],
)
def test_other_methods_and_routes_answer_as_gos_server(client, method, path, status, allow):
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers.get("allow")) == (status, allow)


def test_paths_are_cleaned_by_redirects(client):
    answer = client.get("/v1/data/orders/text/?pretty")
    assert (answer.status_code, answer.headers["location"]) == (301, "/v1/data/orders/text")
    answer = client.get("/v1//data/orders/text?pretty")
    assert (answer.status_code, answer.headers["location"]) == (307, "/v1/data/orders/text?pretty")


def test_health_tells_what_is_missing(client, harness):
    assert client.get("/health").json() == {}
    harness.failure = "one or more bundles are not activated: orders"
    assert client.get("/health").status_code == 200
    answer = client.get("/health?bundles")
    assert answer.status_code == 500
    assert answer.json() == {"error": "one or more bundles are not activated: orders"}


def test_an_unexpected_fault_is_a_500_that_tells_nothing(client, harness, caplog):
    harness.evaluator.evaluate = lambda path, input, **_: 1 / 0
    answer = client.get("/v1/data/orders/text")
    assert answer.status_code == 500
    assert "division" not in answer.text
    assert "division by zero" in caplog.text


def test_one_connection_serves_many_requests(client):
    connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port)
    with contextlib.closing(connection):
        connection.connect()
        first_socket = connection.sock
        for _ in range(3):
            connection.request("GET", "/v1/data/orders/text")
            assert json.loads(connection.getresponse().read())["result"] == "a<b"
        assert connection.sock is first_socket
