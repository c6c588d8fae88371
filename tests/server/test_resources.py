"""Queries, policies, settings, health and metrics over the real socket."""

import gzip
import json

import pytest
from prometheus_client.parser import text_string_to_metric_families

from policy_agent.config import active_document, parse_config
from policy_agent.errors import EvaluationError, PolicyError, PolicyProblem
from policy_agent.model import Bundle, Manifest, Snapshot
from policy_agent.server.exposition import Family, Sample, write_families
from policy_agent.status import DecisionLogStatus, State


def test_a_query_is_answered_and_recorded(client, harness):
    harness.evaluator.query = lambda text, input: [{"x": input}]
    body = {"query": "x := input", "input": {"a": 1}}
    answer = client.post("/v1/query?metrics", json=body)
    assert answer.json().keys() == {"metrics", "result"}
    assert answer.json()["result"] == [{"x": {"a": 1}}]
    [decision] = harness.recorded
    assert (decision.query, decision.path, decision.result) == ("x := input", "", [{"x": {"a": 1}}])


def test_a_query_without_solutions_has_no_result(client, harness):
    harness.evaluator.query = lambda text, input: []
    assert client.get("/v1/query?q=false").content == b"{}\n"
    assert harness.recorded[0].result == []


def test_a_query_that_is_none_is_refused_with_its_problems(client, harness):
    def refuse(text, input):
        raise PolicyError([PolicyProblem("rego_parse_error", "unexpected eof token")])

    harness.evaluator.query = refuse
    answer = client.get("/v1/query?q=x")
    assert answer.status_code == 400
    assert answer.json()["message"] == "error(s) occurred while parsing query"
    assert answer.json()["errors"][0]["message"] == "unexpected eof token"
    assert harness.recorded == []


def test_a_query_that_fails_is_recorded_with_its_error(client, harness):
    def fail(text, input):
        raise EvaluationError(PolicyProblem("eval_conflict_error", "two values"))

    harness.evaluator.query = fail
    assert client.get("/v1/query?q=x").status_code == 500
    assert harness.recorded[0].error["code"] == "eval_conflict_error"


def test_without_a_policy_a_query_says_why_it_has_no_result(client, harness):
    harness.decisions.snapshot = None
    answer = client.get("/v1/query?q=x")
    assert answer.json()["warning"]["code"] == "policy_unavailable"


def test_policies_are_listed_by_bundle_and_path(client, harness):
    bundle = Bundle("main", Manifest(), {"a/b.rego": "package a"}, {})
    harness.decisions.snapshot = Snapshot(harness.evaluator, {"main": bundle})
    shown = {"id": "main/a/b.rego", "raw": "package a", "ast": {"package": "main/a/b.rego"}}
    assert client.get("/v1/policies").json() == {"result": [shown]}
    assert client.get("/v1/policies/main%2Fa/b.rego").json() == {"result": shown}
    missing = client.get("/v1/policies/main/c.rego")
    assert missing.status_code == 404
    assert missing.json()["message"] == 'storage_not_found_error: policy id "main/c.rego"'


def test_the_settings_shown_hold_no_secrets():
    config = parse_config(
        {
            "services": [
                {
                    "name": "s",
                    "url": "http://s",
                    "headers": {"Authorization": "hidden-1"},
                    "credentials": {"bearer": {"token": "hidden-2"}},
                }
            ],
            "keys": {"k": {"key": "hidden-3", "private_key": "hidden-4", "algorithm": "HS256"}},
            "decision_logs": {"audit_key": "hidden-5"},
            "labels": {"token": "shown"},
        }
    )
    shown = active_document(config)
    assert "hidden" not in json.dumps(shown)
    assert shown["services"] == [{"name": "s", "url": "http://s"}]
    assert shown["keys"] == {"k": {"algorithm": "HS256"}}
    assert shown["labels"]["token"] == "shown"
    assert shown["default_decision"] == "/system/main"


@pytest.mark.parametrize(
    ("rule", "value", "status", "error"),
    [
        ("live", True, 200, None),
        ("odd", 7, 500, "health check (data.system.health.odd) returned unexpected value"),
        ("none", None, 500, "health check (data.system.health.none) was undefined"),
    ],
)
def test_a_rule_decides_about_health(client, harness, rule, value, status, error):
    if value is not None:
        harness.evaluator.documents[f"system/health/{rule}"] = value
    answer = client.get(f"/health/{rule}")
    assert (answer.status_code, answer.json().get("error")) == (status, error)
    assert harness.recorded == []


def test_the_health_rule_sees_the_components(client, harness):
    expected = {"plugin_state": {"bundle": "OK"}, "plugins_ready": True}
    harness.evaluator.documents["system/health/live"] = lambda input: input == expected
    assert client.get("/health/live").status_code == 200


@pytest.mark.parametrize("value", ["-1", "x", "", "1.5", "٣"])
def test_an_age_that_is_no_number_is_refused(client, value):
    answer = client.get("/health", params={"max-age": value})
    assert answer.status_code == 400
    assert "max-age" in answer.json()["message"]


def test_health_may_ask_for_fresh_bundles(client, harness):
    harness.max_age_seconds = None
    assert client.get("/health?max-age=60").status_code == 200
    assert harness.max_age_seconds == 60


def test_metrics_count_requests_and_tell_of_bundles(client, harness):
    harness.decision_log_status = DecisionLogStatus("e", "m", 503, {"shipped": 4})
    client.post("/v1/data/orders/allow", json={"input": {}})
    client.request("PROPFIND", "/v1/data/orders/allow")
    families = {
        family.name: family
        for family in text_string_to_metric_families(client.get("/metrics").text)
    }
    durations = families["http_request_duration_seconds"].samples
    counts = {
        (sample.labels["code"], sample.labels["handler"], sample.labels["method"]): sample.value
        for sample in durations
        if sample.name.endswith("_count")
    }
    assert counts["200", "v1/data", "post"] >= 1
    assert counts["405", "catchall", "unknown"] == 1
    buckets = [
        sample.value
        for sample in durations
        if sample.name.endswith("_bucket") and sample.labels["handler"] == "v1/data"
    ]
    assert buckets == sorted(buckets)
    assert families["bundle_loaded_counter"].samples[0].value == 2
    assert families["decision_logs_shipped"].samples[0].value == 4
    assert families["decision_logs_status_gauge"].samples[0].labels["http_code"] == "503"
    assert families["plugin_status_gauge"].samples[0].labels == {
        "name": "bundle",
        "status": State.OK,
    }
    assert families["process_resident_memory_bytes"].samples[0].value > 1e6


def test_metrics_count_what_each_sink_did(client, harness):
    archive = DecisionLogStatus("e", "m", 404, {"shipped": 3, "masked": 1})
    harness.decision_log_status = DecisionLogStatus(
        counters={"shipped": 4}, sinks={"archive": archive}
    )
    samples = {
        (sample.name, sample.labels.get("sink")): sample
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
        if sample.name.startswith("decision_logs")
    }
    assert samples["decision_logs_shipped_total", None].value == 4
    assert samples["decision_logs_shipped_total", "archive"].value == 3
    assert samples["decision_logs_masked_total", "archive"].value == 1
    assert samples["decision_logs_status_gauge", "archive"].labels["http_code"] == "404"
    assert len(samples) == 4


def test_metrics_are_gzipped_for_those_who_accept_it(client):
    raw = client.send(
        client.build_request("GET", "/metrics", headers={"accept-encoding": "gzip"}), stream=True
    )
    assert b"# HELP" in gzip.decompress(b"".join(raw.iter_raw()))
    assert int(client.get("/metrics/alloc_bytes").text) > 1e6
    assert client.get("/metrics/alloc_bytes?pretty=true").text.endswith("MB\n")


def test_labels_of_metrics_are_escaped():
    text = write_families([Family("f", "gauge", "F.", [Sample(1.5, (("a", 'q"\\\n'),))])]).decode()
    [family] = text_string_to_metric_families(text)
    assert family.samples[0].labels == {"a": 'q"\\\n'}
    assert family.samples[0].value == 1.5


def test_partial_evaluation_is_refused(client):
    answer = client.post("/v1/compile", json={"query": "data.a.b == true"})
    assert (answer.status_code, answer.json()["code"]) == (501, "invalid_operation")


def test_a_browser_is_told_what_this_is(client):
    answer = client.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "policy-agent" in answer.text
