from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from policy_agent.decision_log.event import (
    MOST_RULES,
    build_event,
    encode_event,
    format_timestamp,
    with_summary,
)
from policy_agent.errors import DecisionLogError
from policy_agent.model import UNDEFINED, Evidence

LABELS = {"id": "env-1", "version": "0.1.0"}


def test_event_has_opas_fields(decide):
    event = json.loads(encode_event(build_event(decide(custom={"k": 1}), LABELS)))
    assert event == {
        "labels": LABELS,
        "decision_id": "01a1fd2d-ef9a-7c6a-83fe-cb0b153ca6b1",
        "bundles": {"authz": {"revision": "rev-1"}},
        "path": "authz/allow",
        "input": {"user": "alice", "password": "hunter2"},
        "result": {"allow": True, "token": "t0p"},
        "requested_by": "127.0.0.1:58834",
        "timestamp": "2026-11-21T05:39:58.758280075Z",
        "metrics": {"timer_rego_query_eval_ns": 47945},
        "custom": {"k": 1},
    }


def test_what_is_known_beyond_the_decision_goes_under_custom(decide):
    decision = decide(custom={"k": 1}, trace={"trace_id": "t"}, cache_hit=True)
    event = build_event(decision, LABELS, {"lambda": {"request_id": "r"}})
    assert event["custom"] == {
        "k": 1,
        "lambda": {"request_id": "r"},
        "trace": {"trace_id": "t"},
        "cache_hit": True,
    }


def test_the_rules_that_held_are_bounded(decide):
    rules = [f"data.app.r{n} app.rego:{n}" for n in range(MOST_RULES + 2)]
    few = build_event(decide(evidence=Evidence(rules[:3])), LABELS)
    assert few["custom"]["rules"] == rules[:3]
    assert "rules_left_out" not in few["custom"]
    many = build_event(decide(evidence=Evidence(rules)), LABELS)
    assert many["custom"]["rules"] == rules[:MOST_RULES]
    assert many["custom"]["rules_left_out"] == 2


def test_the_summary_tells_subject_and_obligations_as_masking_left_them():
    event = {
        "input": {"identity": {"claims": {"sub": "alice"}}},
        "result": {"obligations": [{"type": "log"}, "odd", {"type": 1}, {"type": "mask_fields"}]},
    }
    expected = {"subject": "alice", "obligations": ["log", "mask_fields"]}
    assert with_summary(event)["custom"] == expected
    assert with_summary({"input": {"identity": {"claims": {}}}, "result": {}}) == {
        "input": {"identity": {"claims": {}}},
        "result": {},
    }


@pytest.mark.parametrize(
    ("changes", "key", "expected"),
    [
        pytest.param({"input": UNDEFINED}, "input", UNDEFINED, id="no input is absent"),
        pytest.param({"input": None}, "input", None, id="null input is null"),
        pytest.param({"input": False}, "input", False, id="false input is false"),
        pytest.param({"result": UNDEFINED}, "result", UNDEFINED, id="undefined is absent"),
        pytest.param({"result": None}, "result", None, id="null result is null"),
        pytest.param({"result": False}, "result", False, id="false result is false"),
        pytest.param({"path": ""}, "path", UNDEFINED, id="root path is absent"),
        pytest.param({"path": "/"}, "path", UNDEFINED, id="root path with slash is absent"),
        pytest.param({"path": "/a/b%2Fc"}, "path", "a/b%2Fc", id="slash cut, escapes kept"),
        pytest.param({"revisions": {}}, "bundles", UNDEFINED, id="no bundles"),
        pytest.param(
            {"revisions": {"a": "", "b": "r"}},
            "bundles",
            {"a": {}, "b": {"revision": "r"}},
            id="bundle without revision",
        ),
        pytest.param({"metrics": {}}, "metrics", UNDEFINED, id="no metrics"),
        pytest.param({"requested_by": None}, "requested_by", UNDEFINED, id="no caller"),
        pytest.param({}, "custom", UNDEFINED, id="no custom data"),
        pytest.param({}, "error", UNDEFINED, id="no error"),
        pytest.param(
            {"error": {"code": "undefined_document", "message": "m"}},
            "error",
            {"code": "undefined_document", "message": "m"},
            id="error object",
        ),
    ],
)
def test_field_presence_follows_opa(decide, changes, key, expected):
    event = build_event(decide(**changes), LABELS)
    assert event.get(key, UNDEFINED) == expected


@pytest.mark.parametrize(
    ("timestamp_ns", "text"),
    [
        pytest.param(0, "1970-01-01T00:00:00Z", id="epoch"),
        pytest.param(1_795_239_598_000_000_000, "2026-11-21T05:39:58Z", id="whole second"),
        pytest.param(1_795_239_600_000_000_000, "2026-11-21T05:40:00Z", id="zeros of seconds stay"),
        pytest.param(1_795_239_598_500_000_000, "2026-11-21T05:39:58.5Z", id="zeros cut"),
        pytest.param(1_795_239_598_000_000_001, "2026-11-21T05:39:58.000000001Z", id="1 ns"),
    ],
)
def test_timestamp_is_rfc3339_nano(timestamp_ns, text):
    assert format_timestamp(timestamp_ns) == text


def test_encoded_event_is_one_line(decide):
    encoded = encode_event(build_event(decide(input={"text": "a\nb\rc\u2028"}), LABELS))
    assert len(encoded.splitlines()) == 1


def test_what_is_not_json_is_our_error_and_not_quoted(decide):
    event = build_event(decide(input={"secret": object()}), LABELS)
    with pytest.raises(DecisionLogError, match=r"^decision 01a1fd2d\S+ is not JSON: TypeError$"):
        encode_event(event)


POLICY = """package authz

allow if input.user == "alice"

conflict := 1 if input.n

conflict := 2 if input.n
"""
OPA = os.environ.get("OPA_BIN") or shutil.which("opa")


@pytest.mark.opa
@pytest.mark.skipif(OPA is None, reason="no opa binary")
def test_opas_own_events_have_the_same_fields_and_types(decide, receiver, tmp_path):
    opa_events = _events_of_opa(receiver, tmp_path)
    conflict = {"code": "eval_conflict_error", "message": "m", "location": {"file": "f"}}
    ours = [
        decide(input={"user": "alice"}, result=True),
        decide(input={"user": "bob"}, result=UNDEFINED),
        decide(input=UNDEFINED, result=UNDEFINED),
        decide(path="authz/conflict", input={"n": 1}, result=UNDEFINED, error=conflict),
        decide(path="", input={"user": "alice"}, result={"authz": {"allow": True}}),
    ]
    assert len(opa_events) == len(ours)
    for theirs, decision in zip(opa_events, ours, strict=True):
        theirs.pop("req_id")  # OPA's access log number, which is off in quieter set-ups too
        event = json.loads(encode_event(build_event(decision, LABELS)))
        assert {key: type(value) for key, value in event.items()} == {
            key: type(value) for key, value in theirs.items()
        }
        for key in ("path", "input"):
            assert event.get(key, UNDEFINED) == theirs.get(key, UNDEFINED)
        assert all(type(value) is int for value in theirs["metrics"].values())
        assert set(theirs["bundles"].popitem()[1]) == {"revision"}
        assert set(theirs["labels"]) == {"id", "version"}


def _events_of_opa(receiver, folder):
    bundle = folder / "bundle"
    bundle.mkdir()
    (bundle / "authz.rego").write_text(POLICY)
    (bundle / ".manifest").write_text('{"revision": "rev-1", "roots": ["authz"]}')
    config = {"services": {"r": {"url": receiver.url}}, "decision_logs": {"service": "r"}}
    (folder / "config.json").write_text(json.dumps(config))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [OPA, "run", "-s", "-a", address, "-c", folder / "config.json", "-b", bundle]
    with (
        open(folder / "opa.log", "wb") as output,
        subprocess.Popen(
            [*command, "--disable-telemetry"], cwd=folder, stdout=output, stderr=output
        ) as opa,
    ):
        try:
            _wait_until_healthy(f"http://{address}/health")
            for path, body in (
                ("authz/allow", b'{"input": {"user": "alice"}}'),
                ("authz/allow", b'{"input": {"user": "bob"}}'),
                ("authz/allow", b""),
                ("authz/conflict", b'{"input": {"n": 1}}'),
                ("", b'{"input": {"user": "alice"}}'),
            ):
                _post(f"http://{address}/v1/data/{path}".rstrip("/"), body)
        finally:
            opa.send_signal(signal.SIGTERM)  # which makes it upload
            opa.wait(20)
    return receiver.accepted


def _post(url, body):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=5) as answer:
            answer.read()
    except urllib.error.HTTPError as exc:
        exc.close()


def _wait_until_healthy(url):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=1):
            return
        time.sleep(0.02)
    pytest.fail("opa did not start")
