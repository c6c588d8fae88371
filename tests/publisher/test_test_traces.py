"""`test` with coverage, traces, values and cases, compared with the real `opa test`."""

import json
import re

import pytest

from tests.publisher.asking import opas, ours
from tests.support import needs_opa

POLICY = """package p

default allow := false

allow if {
	input.role == "admin"
	is_ok
}

allow if input.user == "bob"

is_ok if {
	some x in input.tags
	x == "ok"
	trace(sprintf("found %v", [x]))
}

names contains n if {
	some n in input.tags
	count(n) > 1
}

f(x) := y if {
	y := x + 1
	y > 3
} else := 0

listed := [x | some x in input.tags; x != "no"]

text := $"{count(input.tags) + 1} tags"

unused if {
	(input.a + 1) == 2
	every tag in input.tags {
		startswith(tag, "o")
	}
}
"""
TESTS = """package p_test

import data.p

test_admin if {
	p.allow with input as {"role": "admin", "tags": ["no", "ok"]}
}

test_bob if p.allow with input as {"user": "bob"}

test_bad if {
	x := p.f(1)
	print("hello", x)
	x == 7
}

test_text if p.text == "3 tags" with input.tags as ["a", "b"]

todo_test_x if false

test_names if p.names == {"ok", "no"} with input as {"tags": ["ok", "no"]}

test_names if {
	"ok" in p.names with input as {"tags": ["ok", "no"]}
}

test_listed if {
	p.listed == ["ok"] with input as {"tags": ["no", "yes"]}
}

test_inner if {
	xs := [y | some y in [1, 2]; y > 1]
	not count(xs) == 1
}

test_cases[note] if {
	some note, tc in {"one": {"in": 1, "out": 0}, "two": {"in": 5, "out": 5}}
	p.f(tc["in"]) == tc.out
}

test_groups[group][name] if {
	some group, cases in {"a": {"x": 1}, "b": {"x": 2, "y": 1}}
	some name, n in cases
	n == 1
}
"""


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.rego").write_text(POLICY)
    (tmp_path / "p_test.rego").write_text(TESTS)
    return tmp_path


def parts(report: str) -> list[str]:
    """Split a report into its results and failures, in one order, without what always differs."""
    report = re.sub(r"\([\d.]+(ns|µs|ms|s)\)", "(T)", report)
    report = re.sub(r"__local[a-z]*\d+__", "__local__", report)
    found = re.split(r"(?m)^(?=\S+\.rego:\d+:\n|data\.\S+: FAIL \(T\)\n\n|---)", report)
    return sorted(part.strip("\n") for part in found)


def same_report(capsys, *arguments):
    status, output, _ = ours(capsys, "test", *arguments)
    expected_status, expected, _ = opas("test", *arguments)
    assert parts(output) == parts(expected)
    assert status == expected_status


def test_cases_that_fail_are_told_by_name(directory, capsys):
    status, output, _ = ours(capsys, "test", ".", "-r", "groups")
    assert status == 2
    assert re.search(r"test_groups: FAIL \(.*\)\n  b: FAIL\n    x: FAIL\n---", output)
    assert output.endswith("PASS: 2/3\nFAIL: 1/3\n")


@pytest.mark.parametrize(("threshold", "status"), [("0", 0), ("58.9", 2), ("100", 2)])
def test_too_little_coverage_makes_the_status_two(directory, capsys, threshold, status):
    arguments = ["test", ".", "-r", "admin|bob", "--coverage", "--threshold", threshold]
    done, output, error = ours(capsys, *arguments)
    assert done == status
    assert bool(output) == (status == 0)
    assert error.startswith("Code coverage threshold not met: got ") == (status == 2)


def test_a_failing_test_has_no_coverage(directory, capsys):
    status, output, _ = ours(capsys, "test", ".", "--coverage", "-r", "bad")
    assert status == 1
    assert "data.p_test.test_bad: FAIL" in output


class TestBesideOpa:
    pytestmark = needs_opa

    @pytest.mark.parametrize(
        "arguments",
        [
            pytest.param(["."], id="plain"),
            pytest.param([".", "--verbose"], id="verbose"),
            pytest.param([".", "--var-values"], id="values"),
            pytest.param([".", "--verbose", "--var-values", "-r", "bad|cases"], id="both"),
            pytest.param([".", "--explain", "notes", "-r", "admin"], id="notes"),
            pytest.param([".", "--explain", "fails", "-r", "bad|cases|admin"], id="fails"),
        ],
    )
    def test_reports_are_opas(self, directory, capsys, arguments):
        same_report(capsys, *arguments)

    def test_cases_in_json_are_opas(self, directory, capsys):
        arguments = ["test", ".", "--format", "json"]
        status, output, _ = ours(capsys, *arguments)
        expected_status, expected, _ = opas(*arguments)
        ordered = [re.sub(r'"duration": \d+', "", each) for each in (output, expected)]
        mine, theirs = (sorted(map(json.dumps, json.loads(each))) for each in (output, expected))
        without = re.compile(r'"duration": \d+')
        assert [without.sub("", each) for each in mine] == [without.sub("", e) for e in theirs]
        assert len(ordered[0]) == len(ordered[1])
        assert status == expected_status

    @pytest.mark.parametrize(
        "arguments",
        [
            pytest.param(["-r", "admin|bob"], id="report"),
            pytest.param(["-r", "admin|bob|text|names"], id="more of it"),
            pytest.param(["-r", "bob", "--coverage-runs", ""], id="without reasons"),
            pytest.param(["-r", "admin", "--threshold", "90"], id="too little"),
            pytest.param(["-r", "admin", "--threshold", "90", "-v"], id="too little, verbosely"),
            pytest.param(["-r", "bob", "--threshold", "10"], id="enough"),
        ],
    )
    def test_coverage_is_opas(self, directory, capsys, arguments):
        arguments = ["test", ".", "--coverage", *arguments]
        assert ours(capsys, *arguments) == opas(*arguments)

    def test_the_sample_bundle_is_covered_as_in_opa(self, capsys):
        arguments = ["test", "--coverage", "bundles/orders"]
        assert ours(capsys, *arguments) == opas(*arguments)
