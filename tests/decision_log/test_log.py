from __future__ import annotations

import asyncio
import contextlib
import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from policy_agent.audit_chain import ChainKey, is_untouched
from policy_agent.config import DecisionLogs, LogSink, RulePaths, Service, SpoolLimits
from policy_agent.decision_log.log import DecisionLog
from policy_agent.errors import DecisionLogError, EvaluationError, PolicyProblem, SpoolFullError
from policy_agent.model import UNDEFINED

ROOT = Path(__file__).parents[2]
LABELS = {"id": "env-1", "version": "0.1.0"}
MASK, DROP, SAMPLE = "system/log/mask", "system/log/drop", "system/log/sample"
FAILURE = EvaluationError(PolicyProblem("eval_conflict_error", "hunter2 and hunter3"))
INPUT = {"user": "alice", "password": "hunter2"}


@pytest.fixture
def open_log(tmp_path, receiver):
    with contextlib.ExitStack() as stack:

        def begin(**settings):
            config = DecisionLogs(
                **{"service": Service("r", receiver.url), **settings.pop("config", {})}
            )
            decision_log = DecisionLog(config, LABELS, tmp_path, **settings)
            stack.callback(decision_log.close)
            return decision_log

        yield begin


@pytest.fixture
def logged(open_log, receiver, decide, policy_of):
    """Return a function: record one decision under a policy table and return what is shipped."""

    def run(table, *, defined=None, **config):
        decision_log = open_log(config=config)
        decision_log.record(decide(), policy_of(table, rules=defined))
        asyncio.run(decision_log.flush(10))
        return receiver.accepted, decision_log.status.counters

    return run


def test_a_recorded_decision_is_on_disk_and_ships_when_flushed(
    open_log, receiver, decide, tmp_path
):
    decision_log = open_log()
    decision_log.record(decide(), None)
    (segment,) = (tmp_path / "decision-logs").iterdir()
    assert b"01a1fd2d-ef9a" in segment.read_bytes()
    assert (decision_log.backlog_events, decision_log.has_backlog) == (1, True)
    report = asyncio.run(decision_log.flush(10))
    assert (report.shipped, report.left, report.error) == (1, 0, None)
    assert receiver.accepted[0]["labels"] == LABELS
    assert not decision_log.has_backlog


def test_without_rules_the_event_is_complete(logged):
    (event,), counters = logged({"authz/allow": True})
    assert event["input"] == INPUT
    assert event["result"] == {"allow": True, "token": "t0p"}
    assert {"erased", "masked"}.isdisjoint(event)
    assert set(event["custom"]) == {"audit"}
    assert (counters["recorded"], counters["shipped"], counters["masked"]) == (1, 1, 0)


def test_mask_rules_are_applied(logged):
    (event,), counters = logged({MASK: ["/input/password", "/result/token", "/input/none"]})
    assert event["input"] == {"user": "alice"}
    assert event["result"] == {"allow": True}
    assert event["erased"] == ["/input/password", "/result/token"]
    assert counters["masked"] == 1


def test_policies_see_the_event_as_their_input(open_log, decide, policy_of):
    policy = policy_of({MASK: [], DROP: False})
    open_log().record(decide(), policy)
    seen = dict(policy.asked)
    assert set(seen) == {MASK, DROP, SAMPLE}
    for event in (seen[MASK], seen[DROP]):
        assert event["path"] == "authz/allow"
        assert event["input"] == INPUT
        assert event["labels"] == LABELS
        assert event["metrics"] == {"timer_rego_query_eval_ns": 47945}


def test_masking_does_not_touch_the_decision(open_log, decide, policy_of):
    decision = decide()
    open_log().record(decision, policy_of({MASK: ["/input/password", "/result"]}))
    assert decision == decide()
    assert decision.input == INPUT


@pytest.mark.parametrize(
    ("value", "recorded"),
    [
        pytest.param(True, 0, id="true"),
        pytest.param(False, 1, id="false"),
        pytest.param(UNDEFINED, 1, id="undefined"),
        pytest.param(1, 1, id="one"),
        pytest.param("true", 1, id="text"),
        pytest.param([True], 1, id="array"),
    ],
)
def test_only_exactly_true_drops(logged, value, recorded):
    events, counters = logged({DROP: value})
    assert len(events) == counters["recorded"] == recorded
    assert counters["dropped_by_policy"] == 1 - recorded


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        pytest.param(
            {MASK: FAILURE},
            "system/log/mask could not be evaluated: eval_conflict_error",
            id="failing mask decision",
        ),
        pytest.param(
            {DROP: FAILURE, MASK: []},
            "system/log/drop could not be evaluated: eval_conflict_error",
            id="failing drop decision",
        ),
        pytest.param(
            {MASK: ["/input/password", "/labels/id"]},
            "mask rule 2 has a path that is not under /input, /result, /nd_builtin_cache",
            id="one bad rule",
        ),
        pytest.param({MASK: None}, "the mask decision is not an array or set", id="null"),
    ],
)
def test_what_cannot_be_masked_is_logged_without_input_and_result(logged, table, reason):
    (event,), counters = logged(table)
    assert "hunter" not in json.dumps(event)
    assert {"input", "result"}.isdisjoint(event)
    assert event["erased"] == ["/input", "/result"]
    assert event["custom"]["withheld"] == reason
    assert event["path"] == "authz/allow"
    assert (counters["withheld"], counters["recorded"]) == (1, 1)


def test_without_a_policy_the_input_is_withheld(open_log, receiver, decide):
    decision_log = open_log()
    decision_log.record(decide(), None)
    asyncio.run(decision_log.flush(10))
    (event,) = receiver.accepted
    assert "input" not in event
    assert event["result"] == {"allow": True, "token": "t0p"}
    assert event["erased"] == ["/input"]
    assert event["custom"]["withheld"] == "no policy is active"


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param({MASK}, id="a rule of that name"),
        pytest.param({f"{MASK}/deep"}, id="a rule below it"),
        pytest.param({"system/log"}, id="a rule above it"),
        pytest.param(set(), id="base data only"),
    ],
)
def test_mask_decisions_are_found_wherever_they_are_defined(logged, rules):
    constant = ["/input"]
    value = (lambda event: event and constant) if rules else constant
    (event,), _ = logged({MASK: value}, defined=frozenset(rules))
    assert event["erased"] == ["/input"]


def test_a_policy_without_hooks_is_asked_once_only(open_log, decide, policy_of):
    policy = policy_of({}, rules=frozenset({"authz/allow", "system/logging/mask"}))
    decision_log = open_log()
    for _ in range(3):
        decision_log.record(decide(), policy)
    assert policy.asked == [(DROP, UNDEFINED), (SAMPLE, UNDEFINED), (MASK, UNDEFINED)]


def test_hooks_follow_the_policy_that_decided(open_log, receiver, decide, policy_of):
    decision_log = open_log()
    for table in ({}, {MASK: ["/input"]}, {}):
        decision_log.record(decide(), policy_of(table))
    asyncio.run(decision_log.flush(10))
    assert ["input" in event for event in receiver.accepted] == [True, False, True]


def test_configured_decisions_are_used(logged):
    (event,), _ = logged(
        {"my/mask": ["/input"], MASK: ["/result"]}, rules=RulePaths(mask="my/mask")
    )
    assert event["erased"] == ["/input"]


def test_console_alone_needs_no_disk(open_log, decide, policy_of, tmp_path):
    stream = io.StringIO()
    decision_log = open_log(config={"service": None, "console": True}, stream=stream)
    decision_log.record(decide(), policy_of({MASK: ["/input/password"]}))
    line = json.loads(stream.getvalue())
    assert (line["msg"], line["input"]) == ("Decision Log", {"user": "alice"})
    assert list(tmp_path.iterdir()) == []
    report = asyncio.run(decision_log.flush(10))
    assert (report.shipped, report.left, report.error) == (0, 0, None)
    assert decision_log.status.counters["recorded"] == 1
    assert not decision_log.has_backlog


def test_console_and_service_both_get_the_event(open_log, decide, receiver):
    stream = io.StringIO()
    decision_log = open_log(config={"console": True}, stream=stream)
    decision_log.record(decide(), None)
    asyncio.run(decision_log.flush(10))
    assert len(receiver.accepted) == stream.getvalue().count("\n") == 1


def test_what_cannot_be_stored_is_an_error_and_not_printed(open_log, decide):
    stream = io.StringIO()
    decision_log = open_log(
        config={"console": True, "spool": SpoolLimits(limit_bytes=100)}, stream=stream
    )
    with pytest.raises(DecisionLogError, match="full"):
        decision_log.record(decide(), None)
    assert stream.getvalue() == ""
    assert decision_log.status.counters["recorded"] == 0
    assert decision_log.status.counters["refused"] == 1


def test_status_tells_of_the_last_failure_until_a_success(open_log, receiver, decide):
    decision_log = open_log()
    decision_log.record(decide(), None)
    receiver.answer = lambda events, body: 500
    asyncio.run(decision_log.flush(10))
    body = decision_log.status.to_json()
    assert body.pop("metrics")["upload_failures"] == 1
    assert body == {
        "code": "decision_log_error",
        "message": "log upload failed, server replied with HTTP 500 Internal Server Error",
        "http_code": 500,
    }
    receiver.answer = lambda events, body: 200
    asyncio.run(decision_log.flush(10))
    assert set(decision_log.status.to_json()) == {"metrics"}


CHILD = """
import os, sys
from pathlib import Path
from policy_agent.config import DecisionLogs, Service
from policy_agent.decision_log.ids import new_decision_id
from policy_agent.decision_log.log import DecisionLog
from policy_agent.model import Decision

config = DecisionLogs(service=Service("r", sys.argv[1]))
decision_log = DecisionLog(config, {"id": "1"}, Path(sys.argv[2]))
for number in range(1_000_000):
    made = new_decision_id()
    decision = Decision(made, "a", {"n": number}, True, None, {}, number, {})
    decision_log.record(decision, None)
    os.write(1, made.encode() + b"\\n")
"""


def test_every_answered_decision_reaches_the_receiver_after_sigkill(open_log, receiver, tmp_path):
    command = [sys.executable, "-c", CHILD, receiver.url, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(1500)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    answered = [line.strip() for line in lines if line.endswith("\n")]
    report = asyncio.run(open_log().flush(10))
    assert (report.left, report.error) == (0, None)
    shipped = [event["decision_id"] for event in receiver.accepted]
    assert shipped[: len(answered)] == answered
    assert len(shipped) - len(answered) in (0, 1)


def audits(events):
    return [event["custom"]["audit"] for event in events]


def test_dropped_decisions_use_no_number_and_are_told_at_the_end(
    open_log, receiver, decide, policy_of
):
    decision_log = open_log()
    for drop in (False, True, False):
        decision_log.record(decide(), policy_of({DROP: drop}))
    decision_log.close_stream()
    asyncio.run(decision_log.flush(10))
    assert [audit["seq"] for audit in audits(receiver.accepted)] == [1, 2, 3]
    closing = audits(receiver.accepted)[-1]
    assert (closing["closing"], closing["last_seq"], closing["dropped_by_policy"]) == (True, 2, 1)


def test_the_closing_record_is_an_event_of_opa_and_no_decision(open_log, receiver, decide):
    decision_log = open_log()
    decision_log.record(decide(), None)
    decision_log.close_stream()
    assert not decision_log.has_open_stream
    asyncio.run(decision_log.flush(10))
    closing = receiver.accepted[-1]
    assert set(closing) == {"decision_id", "labels", "timestamp", "custom"}
    assert closing["labels"] == LABELS
    counters = decision_log.status.counters
    assert (counters["recorded"], counters["shipped"]) == (1, 2)


def test_a_log_that_recorded_nothing_has_nothing_to_close(open_log, receiver, decide):
    decision_log = open_log()
    decision_log.close_stream()
    decision_log.record(decide(), None)
    for _ in range(2):
        decision_log.close_stream()
    assert decision_log.backlog_events == 2


def test_what_comes_after_the_end_begins_another_stream(open_log, receiver, decide):
    decision_log = open_log()
    for _ in range(2):
        decision_log.record(decide(), None)
        decision_log.close_stream()
    asyncio.run(decision_log.flush(10))
    assert [audit["seq"] for audit in audits(receiver.accepted)] == [1, 2, 1, 2]
    assert len({audit["instance"] for audit in audits(receiver.accepted)}) == 2


def test_an_entry_that_was_not_stored_uses_no_number(open_log, receiver, decide):
    decision_log = open_log(config={"spool": SpoolLimits(limit_bytes=2000)})
    decision_log.record(decide(), None)
    with pytest.raises(DecisionLogError, match="full"):
        decision_log.record(decide(result="x" * 2000), None)
    decision_log.record(decide(), None)
    asyncio.run(decision_log.flush(10))
    assert [audit["seq"] for audit in audits(receiver.accepted)] == [1, 2]


def test_a_full_disk_at_the_end_leaves_the_stream_open(open_log, receiver, decide, caplog):
    decision_log = open_log(config={"spool": SpoolLimits(limit_bytes=800)})
    decision_log.record(decide(), None)
    decision_log.close_stream()
    assert "without a closing record" in caplog.text
    asyncio.run(decision_log.flush(10))
    assert [audit["seq"] for audit in audits(receiver.accepted)] == [1]


def test_the_chain_is_over_what_is_shipped(open_log, receiver, decide, policy_of, tmp_path):
    (tmp_path / "key").write_text("secret\n")
    decision_log = open_log(config={"audit_key_path": str(tmp_path / "key")})
    decision_log.record(decide(), policy_of({MASK: ["/input/password"]}))
    asyncio.run(decision_log.flush(10))
    (event,) = receiver.accepted
    assert event["erased"] == ["/input/password"]
    assert is_untouched(event, ChainKey(b"secret"))


@pytest.mark.parametrize(
    "content", [pytest.param(None, id="no file"), pytest.param("\n", id="empty")]
)
def test_without_its_key_nothing_is_recorded_and_so_nothing_answered(
    open_log, decide, tmp_path, content
):
    if content is not None:
        (tmp_path / "key").write_text(content)
    decision_log = open_log(config={"audit_key_path": str(tmp_path / "key")})
    with pytest.raises(DecisionLogError, match="audit_key_path"):
        decision_log.record(decide(), None)
    assert not decision_log.has_backlog


def test_two_sinks_have_rules_numbers_and_failures_of_their_own(
    open_log, receiver, decide, policy_of, tmp_path
):
    path = tmp_path / "copy" / "decisions.jsonl"
    strict = LogSink("file", target=str(path), rules=RulePaths(mask="strict", drop="none"))
    decision_log = open_log(config={"sinks": {"copy": strict}})
    receiver.answer = lambda events, body: 500
    policy = policy_of({MASK: ["/input/password"], "strict": ["/input"], DROP: False})
    decision_log.record(decide(), policy)
    decision_log.record(decide(), policy_of({DROP: True, "strict": ["/result"]}))
    report = asyncio.run(decision_log.flush(10))
    assert (report.shipped, report.left, report.error.http_code) == (2, 1, 500)
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert [line["erased"] for line in lines] == [["/input"], ["/result"]]
    assert [audit["seq"] for audit in audits(lines)] == [1, 2]
    status = decision_log.status
    assert (status.http_code, status.counters["recorded"]) == (500, 1)
    assert (status.sinks["copy"].code, status.sinks["copy"].counters["shipped"]) == ("", 2)
    assert set(status.to_json()["sinks"]["copy"]) == {"metrics"}
    receiver.answer = lambda events, body: 200
    asyncio.run(decision_log.flush(10, force=True))
    (event,) = receiver.accepted
    assert event["erased"] == ["/input/password"]
    assert event["custom"]["audit"]["instance"] != lines[0]["custom"]["audit"]["instance"]


def test_what_cannot_be_shipped_at_the_end_is_printed_and_kept(
    open_log, receiver, decide, policy_of
):
    stream = io.StringIO()
    decision_log = open_log(stream=stream)
    receiver.answer = lambda events, body: 503
    decision_log.record(decide(), policy_of({MASK: ["/input/password"]}))
    report = asyncio.run(decision_log.flush(5, force=True, is_last=True))
    (line,) = map(json.loads, stream.getvalue().splitlines())
    assert (line["msg"], line["input"]) == ("Decision Log", {"user": "alice"})
    assert report.left == 1
    assert decision_log.status.counters["printed_at_shutdown"] == 1
    receiver.answer = lambda events, body: 200
    asyncio.run(decision_log.flush(5, force=True, is_last=True))
    assert len(receiver.accepted) == 1
    assert stream.getvalue().count("\n") == 1


def test_a_receiver_that_hangs_leaves_time_to_print_all_that_waits(open_log, receiver, decide):
    stream = io.StringIO()
    decision_log = open_log(stream=stream)
    receiver.answer = lambda events, body: "hang"
    for _ in range(200):
        decision_log.record(decide(), None)
    asyncio.run(decision_log.flush(0.7, force=True, is_last=True))
    receiver.released.set()
    assert stream.getvalue().count("\n") == 200


def test_the_last_resort_can_be_declined(open_log, receiver, decide):
    stream = io.StringIO()
    decision_log = open_log(config={"last_resort": False}, stream=stream)
    receiver.answer = lambda events, body: 503
    decision_log.record(decide(), None)
    asyncio.run(decision_log.flush(5, force=True, is_last=True))
    assert stream.getvalue() == ""


def test_a_decision_may_wait_for_room_where_it_is_configured(open_log, receiver, decide):
    limits = SpoolLimits(on_full="block", limit_bytes=900, wait_ms=5000)
    decision_log = open_log(config={"spool": limits})
    decision_log.record(decide(), None)
    with pytest.raises(SpoolFullError):
        decision_log.record(decide(), None)
    assert asyncio.run(decision_log.make_room())
    decision_log.record(decide(), None)
    assert not asyncio.run(open_log().make_room())


def test_a_buffered_log_writes_soon_and_before_it_ships(open_log, receiver, decide, tmp_path):
    decision_log = open_log(config={"spool": SpoolLimits(durability="buffered")})
    folder = tmp_path / "decision-logs"

    async def record():
        decision_log.record(decide(), None)
        assert not folder.exists()
        assert decision_log.has_backlog
        while not folder.exists():
            await asyncio.sleep(0.02)
        decision_log.record(decide(), None)
        return await decision_log.flush(10)

    report = asyncio.run(asyncio.wait_for(record(), 10))
    assert (report.shipped, report.left) == (2, 0)


def test_the_console_shows_the_numbers_too(open_log, decide):
    stream = io.StringIO()
    decision_log = open_log(config={"service": None, "console": True}, stream=stream)
    decision_log.record(decide(), None)
    decision_log.close_stream()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [audit["seq"] for audit in audits(lines)] == [1, 2]
