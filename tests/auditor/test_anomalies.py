from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from policy_agent.auditor.anomalies import Tally, binomial_tail, find_anomalies, poisson_head
from policy_agent.auditor.extract import extract_row
from policy_agent.auditor.store import AuditStore
from policy_agent.cli import main

WEEK = [
    Tally("orders", "alice", 1000, 20),
    Tally("orders", "bob", 1000, 30),
    Tally("rare", "alice", 10, 0),
]
HOUR = 1 / 168


def found(*recent, share=HOUR):
    return [(each.kind, each.name) for each in find_anomalies(WEEK, recent, share=share)]


@pytest.mark.parametrize(
    ("successes", "trials", "probability", "expected"),
    [
        (0, 10, 0.3, 1.0),
        (10, 10, 0.5, 0.5**10),
        (9, 10, 0.5, 11 * 0.5**10),
        (400, 1000, 0.25, 6.96e-26),
    ],
)
def test_the_binomial_tail(successes, trials, probability, expected):
    assert binomial_tail(successes, trials, probability) == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize(
    ("events", "expected_events", "expected"),
    [(0, 5, 0.0067379), (2, 5, 0.1246520), (7, 5, 1.0), (100, 200, 1.6e-15)],
)
def test_the_poisson_head(events, expected_events, expected):
    assert poisson_head(events, expected_events) == pytest.approx(expected, rel=0.2)


def test_an_ordinary_hour_is_no_anomaly():
    assert found(Tally("orders", "alice", 6, 1), Tally("orders", "bob", 7, 0)) == []


def test_a_burst_of_denials_names_function_and_subject():
    assert found(Tally("orders", "alice", 40, 25), Tally("orders", "bob", 10, 0)) == [
        ("denials", "alice"),
        ("denials", "orders"),
    ]


def test_denials_as_frequent_as_ever_are_none():
    before = [Tally("guard", "eve", 1000, 900)]
    recent = [Tally("guard", "eve", 100, 90)]
    assert find_anomalies(before, recent, share=0.1) == []


def test_a_function_that_falls_silent_is_named_and_a_rare_one_is_not():
    assert found(share=1.0) == [("silence", "orders")]


def test_a_new_subject_that_is_denied_is_named_and_one_that_is_allowed_is_not():
    recent = [Tally("orders", "mallory", 3, 1), Tally("orders", "trent", 3, 0)]
    assert found(*recent) == [("new-subject", "mallory")]


def test_without_a_baseline_nobody_is_new():
    assert find_anomalies([], [Tally("orders", "alice", 3, 1)], share=1) == []


def test_the_command_compares_the_last_hour_with_before(tmp_path, capsys):
    now = datetime.now(UTC)
    rows = []
    for number in range(240):
        is_recent = number >= 200
        at = now - (timedelta(minutes=5) if is_recent else timedelta(hours=2, minutes=number))
        event = {
            "decision_id": f"d-{number}",
            "timestamp": at.isoformat(),
            "labels": {"function": "orders"},
            "path": "a",
            "input": {"user": "al\x1bice"},
            "result": not is_recent,
        }
        rows.append(extract_row(json.dumps(event).encode(), "s"))
    with AuditStore.create(tmp_path) as store:
        store.append_batch(rows, ["s"])
    assert main(["audit", "anomalies", "--dir", str(tmp_path)]) == 1
    told = capsys.readouterr().out
    assert 'function "orders": 40 of 40 denied' in told
    assert "\x1b" not in told
    status = main(
        ["audit", "anomalies", "--dir", str(tmp_path), "--since", "90m", "--format", "json"]
    )
    assert status == 1
    assert {each["name"] for each in json.loads(capsys.readouterr().out)} == {"orders", "al\x1bice"}
    assert main(["audit", "anomalies", "--dir", str(tmp_path), "--baseline", "1m"]) == 1
    assert "must be before" in capsys.readouterr().err
