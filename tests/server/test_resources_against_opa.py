"""Queries, policies, settings and health as OPA answers them, beside the real program."""

import json
from urllib.parse import quote

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.server.beside_opa import ask, same
from tests.support import needs_opa

pytestmark = needs_opa

QUERIES = [
    "x := 1",
    "1 == 2",
    "1 == 1",
    "data.app.allow",
    "x := data.app.allow",
    "data.app.tags[t]",
    "x = data.base.numbers[i]",
    "some x in [1, 2]; x > 1",
    "x := input",
    "data.none",
    "not data.none",
    "false",
    "x := 1 / 0",
    "x := {1, 2}; y := {x | x := 3}",
    "_ = 1; [_, z] = [1, 2]",
    "x := data.app.fails",
    "data.app[name]",
    "x := 12345678901234567890123; y := 1.50",
    "",
    "# nothing",
    "foo(1)",
    "x := 1; x := 2",
    'http.send({"method": "GET", "url": "http://127.0.0.1:1"}, x)',
    "x := data.app.nested; x.list[i].k = v",
    "x := [y | y := data.app.members[_]]",
]


# Go lists some errors in any order, and some twice.
UNORDERED = ["input.user == y", "x = y", "[_, z] = y", "count(x) > 1", "x :=", "x = ]"]


@pytest.mark.parametrize("query", UNORDERED)
def test_wrong_queries(ports, query):
    theirs, ours = (
        json.loads(ask(port, "GET", f"/v1/query?q={quote(query)}")[2]) for port in ports
    )
    assert {**ours, "errors": []} == {**theirs, "errors": []}
    assert all(error in theirs["errors"] for error in ours["errors"])


@pytest.mark.parametrize("query", QUERIES)
def test_queries(ports, query):
    same(ports, "GET", f"/v1/query?q={quote(query)}")
    body = json.dumps({"query": query, "input": {"user": "bob"}})
    same(ports, "POST", "/v1/query", body)
    same(ports, "POST", "/v1/query?pretty=true", body)


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"{}", b"[1]", b'{"query":1}', b'{"query":"x := input","input":null}',
     b'{"QUERY":"x := 1"} trailing', b'{"query":"x := 1","unknown":[1]}', b"{", b"x" * 5001],
)  # fmt: skip
def test_query_bodies(ports, body):
    same(ports, "POST", "/v1/query", body)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/v1/query"),
        ("GET", "/v1/query?q=x:=1&q=x:=2"),
        ("PUT", "/v1/query"),
        ("GET", "/v1/query/x"),
        ("HEAD", "/v1/query"),
        ("PUT", "/v1/policies"),
        ("POST", "/v1/policies/x"),
        ("HEAD", "/v1/policies"),
        ("GET", "/v1/policies/none"),
        ("GET", "/v1/policies/main/none.rego"),
        ("DELETE", "/v1/policies"),
        ("DELETE", "/v1/policies/none"),
        ("GET", "/v1/policies/"),
        ("GET", "/v1/config"),
        ("GET", "/v1/config?pretty"),
        ("POST", "/v1/config"),
        ("GET", "/v1/config/x"),
        ("HEAD", "/v1/config"),
        ("GET", "/v1/config/"),
        ("GET", "/health/live"),
        ("GET", "/health/ready"),
        ("GET", "/health/odd"),
        ("GET", "/health/none"),
        ("GET", "/health/none/below"),
        ("GET", "/health/a-b"),
        ("GET", "/health/"),
        ("PUT", "/health/live"),
        ("HEAD", "/health"),
        ("GET", "/health?plugins&exclude-plugin=bundle"),
        ("GET", "/health?bundle"),
        ("GET", "/health?bundles=false"),
        ("PUT", "/"),
        ("HEAD", "/"),
        ("OPTIONS", "/"),
        ("PUT", "/metrics"),
        ("GET", "/metrics/x"),
        ("PUT", "/metrics/alloc_bytes"),
        ("PUT", "/v1/compile"),
        ("PUT", "/v1/compile/x"),
        ("GET", "/v1"),
        ("GET", "/v2/data"),
        ("GET", "/v1/data/../config"),
    ],
)
def test_other_resources(ports, method, target):
    same(ports, method, target)


def test_policies_are_those_of_the_bundle(ports):
    lists = []
    for port in ports:
        status, headers, body = ask(port, "GET", "/v1/policies")
        assert (status, headers["content-type"]) == (200, "application/json")
        lists.append(sorted(json.loads(body)["result"], key=lambda each: each["id"]))
    theirs, ours = lists
    assert [each["id"] for each in ours] == [each["id"] for each in theirs]
    assert [each["raw"] for each in ours] == [each["raw"] for each in theirs]
    for each in ours:
        single = json.loads(ask(ports[1], "GET", f"/v1/policies/{each['id']}")[2])["result"]
        assert single == each


def test_the_status_tells_of_the_same_things(ports):
    theirs, ours = (json.loads(ask(port, "GET", "/v1/status")[2])["result"] for port in ports)
    assert theirs.keys() <= ours.keys()
    assert theirs["bundles"]["main"].keys() - ours["bundles"]["main"].keys() == {"metrics"}
    assert theirs["plugins"].pop("discovery") == {"state": "OK"}
    assert theirs["plugins"] == ours["plugins"]


def families_of(port):
    text = ask(port, "GET", "/metrics")[2].decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def test_metrics_have_opas_names_types_and_labels(ports):
    for port in ports:
        ask(port, "POST", "/v1/data/app/allow", b"{}")
        ask(port, "PUT", "/v0/data")
    theirs, ours = (families_of(port) for port in ports)
    wanted = {name for name in theirs if not name.startswith("go_")} - {
        "bundle_loading_duration_ns",
        "decision_logs_buffer_size_bytes",
        "http_request_cancellations",
    }
    assert {"http_request_duration_seconds", "last_success_bundle_activation"} < wanted
    assert wanted <= ours.keys()
    for name in wanted:
        assert (ours[name].type, ours[name].documentation) == (
            theirs[name].type,
            theirs[name].documentation,
        )
        assert {frozenset(sample.labels) for sample in ours[name].samples} == {
            frozenset(sample.labels) for sample in theirs[name].samples
        }
    counted = {
        (sample.labels["code"], sample.labels["handler"], sample.labels["method"])
        for family in (theirs, ours)
        for sample in family["http_request_duration_seconds"].samples
    }
    assert {("200", "v1/data", "post"), ("405", "catchall", "put")} <= counted


STRICT = ["?strict-builtin-errors", "?strict-builtin-errors=true", "?strict-builtin-errors=1"]


@pytest.mark.parametrize("parameters", STRICT)
@pytest.mark.parametrize("path", ["app/quotient", "app/allow", "other/word", "app/members"])
def test_strict_builtin_errors(ports, path, parameters):
    body = b'{"input":{"zero":0}}'
    answers = [ask(port, "POST", f"/v1/data/{path}{parameters}", body) for port in ports]
    theirs, ours = answers
    assert ours[0] == theirs[0]
    if ours[0] == 500:
        theirs, ours = (json.loads(answer[2]) for answer in answers)
        for error in theirs["errors"]:
            del error["stack_trace"]
            # Of several bundles, ours says which.
            error["location"]["file"] = "main/" + error["location"]["file"]
        assert ours == theirs
