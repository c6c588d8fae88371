import json

import pytest

from policy_agent.errors import EvaluationError, Location, PolicyProblem
from policy_agent.publisher import test_report
from policy_agent.publisher.go_duration import go_duration
from policy_agent.publisher.rego_tests import RegoTest
from policy_agent.publisher.test_report import Style
from policy_agent.publisher.test_run import CaseResult, RegoTestResult

CONFLICT = PolicyProblem("eval_conflict_error", "two values", Location("x.rego", 7))


def result(name, file="a_test.rego", row=1, *, passed=False, **fields):
    test = RegoTest(
        package="data.p",
        name=name,
        path=("p", name),
        location=Location(file, row),
        is_skipped=name.startswith("todo_"),
        has_cases="cases" in fields,
    )
    return RegoTestResult(test, has_passed=passed, duration_ns=1_500, **fields)


@pytest.fixture
def results():
    return [
        result("test_good", row=3, passed=True),
        result("test_bad", row=5),
        result("todo_test_later", row=9),
        result("test_conflict", "b_test.rego", row=2, error=EvaluationError(CONFLICT)),
    ]


def test_the_report_shows_what_did_not_pass_and_counts_all(results):
    lines = test_report.pretty(results, Style()).splitlines()
    assert [line.partition(" (")[0] for line in lines] == [
        "a_test.rego:5:",
        "data.p.test_bad: FAIL",
        "a_test.rego:9:",
        "data.p.todo_test_later: SKIPPED",
        "",
        "b_test.rego:2:",
        "data.p.test_conflict: ERROR",
        "  x.rego:7: eval_conflict_error: two values",
        "-" * 80,
        "PASS: 1/4",
        "FAIL: 1/4",
        "SKIPPED: 1/4",
        "ERROR: 1/4",
    ]


def test_without_failures_only_the_count_is_printed(results):
    assert test_report.pretty(results[:1], Style()) == "PASS: 1/1\n"
    assert test_report.pretty([], Style()) == ""


def test_verbose_shows_what_passed_too(results):
    assert "data.p.test_good: PASS (" in test_report.pretty(results, Style(verbose=True))


def test_the_json_report_has_one_object_a_test(results):
    documents = json.loads(test_report.as_json(results))
    assert [{k: v for k, v in d.items() if k in ("fail", "skip", "error")} for d in documents] == [
        {},
        {"fail": True},
        {"skip": True},
        {
            "error": {
                "code": "eval_conflict_error",
                "message": "two values",
                "location": {"file": "x.rego", "row": 7, "col": 1},
            }
        },
    ]


def test_cases_are_counted_one_by_one_and_those_that_failed_are_shown():
    failed = CaseResult("two", has_failed=True)
    group = CaseResult("group", has_failed=True, below={"two": failed, "one": CaseResult("one")})
    report = test_report.pretty([result("test_cases", cases={"group": group})], Style())
    assert report.splitlines()[1:] == [
        "data.p.test_cases: FAIL (1.5µs)",
        "  group: FAIL",
        "    two: FAIL",
        "-" * 80,
        "PASS: 1/2",
        "FAIL: 1/2",
    ]


def test_skipped_tests_fail_the_run_unless_told_otherwise(results):
    good, bad, skipped, _ = results
    assert test_report.exit_status([good], skipped_is_zero=False) == 0
    assert test_report.exit_status([good, skipped], skipped_is_zero=False) == 2
    assert test_report.exit_status([good, skipped], skipped_is_zero=True) == 0
    assert test_report.exit_status([good, bad], skipped_is_zero=True) == 2


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [
        (0, "0s"),
        (999, "999ns"),
        (1_000, "1µs"),
        (127_379, "127.379µs"),
        (12_345_678, "12.345678ms"),
        (1_500_000_000, "1.5s"),
        (60_000_000_000, "1m0s"),
        (90_050_000_000, "1m30.05s"),
    ],
)
def test_durations_are_printed_as_go_does(duration_ns, text):
    assert go_duration(duration_ns) == text
