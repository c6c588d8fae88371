import json

import pytest

from policy_agent.errors import EvaluationDeadlineError, EvaluationError, Location, PolicyProblem
from policy_agent.model import UNDEFINED
from policy_agent.publisher import test_report
from policy_agent.publisher.rego_tests import RegoTest
from policy_agent.publisher.test_run import run_tests
from tests.support import TableEvaluator


def rego_test(name, file="a_test.rego", row=1, *, has_cases=False):
    return RegoTest(
        package="data.p",
        name=name,
        path=("p", name),
        location=Location(file, row),
        is_skipped=name.startswith("todo_"),
        has_cases=has_cases,
    )


def failing(_input):
    raise EvaluationError(PolicyProblem("eval_conflict_error", "two values", Location("x.rego", 7)))


def too_slow(_input):
    raise EvaluationDeadlineError("took too long")


def outcome_of(document, **test):
    (result,) = run_tests(TableEvaluator({"p/test_x": document}), [rego_test("test_x", **test)])
    return result.outcome


@pytest.mark.parametrize(
    ("document", "outcome"),
    [
        pytest.param(True, "PASS", id="true"),
        pytest.param(False, "FAIL", id="false"),
        pytest.param(UNDEFINED, "FAIL", id="undefined"),
        pytest.param(1, "FAIL", id="a number"),
        pytest.param({}, "FAIL", id="an object"),
        pytest.param(failing, "ERROR", id="evaluation error"),
        pytest.param(too_slow, "ERROR", id="deadline"),
    ],
)
def test_only_true_passes(document, outcome):
    assert outcome_of(document) == outcome


def test_a_data_driven_test_is_an_error_because_its_failed_cases_are_invisible():
    assert outcome_of({"case": True}, has_cases=True) == "ERROR"


@pytest.fixture
def results():
    policy = TableEvaluator({"p/test_good": True, "p/test_conflict": failing})
    return run_tests(
        policy,
        [
            rego_test("test_good", row=3),
            rego_test("test_bad", row=5),
            rego_test("todo_test_later", row=9),
            rego_test("test_conflict", file="b_test.rego", row=2),
        ],
    )


def test_the_report_shows_what_did_not_pass_and_counts_all(results):
    lines = test_report.pretty(results, verbose=False).splitlines()
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
    assert test_report.pretty(results[:1], verbose=False) == "PASS: 1/1\n"
    assert test_report.pretty([], verbose=False) == ""


def test_verbose_shows_what_passed_too(results):
    assert "data.p.test_good: PASS (" in test_report.pretty(results, verbose=True)


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
    assert test_report.go_duration(duration_ns) == text
