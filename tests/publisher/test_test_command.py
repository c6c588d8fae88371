import json
import re
import subprocess

import pytest

from policy_agent.cli import main
from tests.support import OPA, needs_opa

POLICY = "package app\n\ndouble(n) := n * 2\n\nversion := data.app.number\n"
PASSING = """package app_test

import data.app

test_double if app.double(2) == 4

test_data if {
	app.version == 7
}
"""
V0 = "package app_test\n\ntest_p { x := {y | y := 1}; x[_] }\n\ntest_q { not false }\n"
FAILING = """package app_failing_test

import data.app

test_wrong if app.double(2) == 5

test_false := false

test_number := 5

test_set contains "x"

test_fine if true

todo_test_later if false
"""


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    directory = tmp_path / "src"
    (directory / "app").mkdir(parents=True)
    (directory / "app" / "data.json").write_text('{"number": 7}')
    (directory / "app" / "app.rego").write_text(POLICY)
    (directory / "app" / "app_test.rego").write_text(PASSING)
    return directory


@pytest.fixture
def failing(directory):
    (directory / "app" / "failing_test.rego").write_text(FAILING)
    return directory


def ours(capsys, *arguments: str) -> tuple[int, str]:
    status = main(["test", *arguments])
    return status, capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["-b"], ["--timeout", "500ms"], ["--timeout", "2"]])
def test_passing_tests_are_counted(directory, capsys, arguments):
    assert ours(capsys, "src", *arguments) == (0, "PASS: 2/2\n")


def test_failing_tests_make_the_status_two(failing, capsys):
    status, output = ours(capsys, "src")
    assert status == 2
    assert "src/app/failing_test.rego:5:\ndata.app_failing_test.test_wrong: FAIL (" in output
    assert output.endswith("PASS: 3/8\nFAIL: 4/8\nSKIPPED: 1/8\n")


def test_skipped_tests_can_be_accepted(failing, capsys):
    assert ours(capsys, "src", "-r", "later")[0] == 2
    assert ours(capsys, "src", "-r", "later", "-z")[0] == 0


def test_a_test_whose_evaluation_fails_is_an_error(directory, capsys):
    conflict = "package app_test\n\nimport data.app\n\ntest_two if f(1) == 1\n\n"
    conflict += "f(_) := 1\n\nf(_) := 2\n"
    (directory / "app" / "conflict_test.rego").write_text(conflict)
    status, output = ours(capsys, "src")
    assert status == 2
    assert "data.app_test.test_two: ERROR (" in output
    assert "eval_conflict_error" in output
    assert "ERROR: 1/3" in output


def test_without_tests_the_run_passes_unless_told_otherwise(directory, capsys):
    assert ours(capsys, "src", "-r", "no such test") == (0, "")
    assert ours(capsys, "src", "-r", "no such test", "--fail-on-empty")[0] == 1


def test_tests_can_be_repeated_until_one_fails(failing, capsys):
    assert ours(capsys, "src", "-r", "app_test", "--count", "2") == (0, "PASS: 2/2\n" * 2)
    assert ours(capsys, "src", "--count", "2")[1].count("FAIL: 4/8") == 1


@pytest.mark.parametrize("flag", ["-b", "--bundle"])
def test_a_bundle_may_be_an_archive(directory, capsys, tmp_path, flag):
    assert main(["build", "src", "-o", str(tmp_path / "b.tar.gz")]) == 0
    capsys.readouterr()
    assert ours(capsys, flag, "b.tar.gz") == (0, "PASS: 2/2\n")


def test_a_test_takes_no_longer_than_it_may(directory, capsys):
    slow = "package app_test\n\ntest_slow if {\n\txs := numbers.range(1, 3000)\n"
    slow += "\tsome a in xs\n\tsome b in xs\n\ta + b < 0\n}\n"
    (directory / "app" / "app_test.rego").write_text(slow)
    status, output = ours(capsys, "src", "--timeout", "20ms")
    assert status == 2
    assert "eval_cancel_error" in output


def test_passing_tests_are_measured(directory, capsys, monkeypatch):
    monkeypatch.setattr("policy_agent.publisher.measuring._BENCHMARK_NS", 1_000_000)
    status, output = ours(capsys, "src", "--bench", "-r", "double")
    line, summary = output.splitlines()
    assert (status, summary) == (0, "PASS: 1/1")
    assert re.fullmatch(r"data\.app_test\.test_double\t +\d+\t +[\d.]+ ns/op\t.*", line)
    assert ours(capsys, "src", "--bench", "-f", "gobench")[1].startswith("BenchmarkDataAppTestTest")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["nowhere"], "nowhere: no such file or directory", id="no directory"),
        pytest.param(["src", "-f", "gobench"], "only with --bench", id="gobench"),
        pytest.param(["src", "-c", "--bench"], "coverage reporting is not", id="coverage"),
        pytest.param(["src", "-r", "["], "--run: not a regular expression", id="pattern"),
    ],
)
def test_wrong_arguments_end_with_a_sentence(directory, capsys, arguments, sentence):
    assert main(["test", *arguments]) == 1
    assert sentence in capsys.readouterr().err


def test_a_policy_that_does_not_compile_ends_with_its_place(directory, capsys):
    (directory / "app" / "broken.rego").write_text("package app\n\nbroken if {\n")
    assert main(["test", "src"]) == 1
    assert "src/app/broken.rego:" in capsys.readouterr().err


def blocks(text: str) -> tuple[list[list[str]], list[str]]:
    """Split a pretty report into its results, in one order, and its summary."""
    text = re.sub(r"\(\d[^)]*s\)", "(T)", text)
    lines = [line for line in text.splitlines() if line]
    results: list[list[str]] = []
    summary: list[str] = []
    for line in lines:
        if re.fullmatch(r"\S+:\d+:", line):
            results.append([line])
        elif results and not summary and not line.startswith("---"):
            results[-1].append(line)
        else:
            summary.append(line)
    return sorted(results), summary


def test_a_test_has_no_input(directory, capsys):
    source = "package app_test\n\ntest_absent if not input\n\n"
    source += 'test_given if input.x with input as {"x": 1}\n'
    (directory / "app" / "app_test.rego").write_text(source)
    assert ours(capsys, "src") == (0, "PASS: 2/2\n")


def test_a_second_opinion_that_agrees_is_silent(failing, capsys):
    status = main(["test", "src", "--second-opinion"])
    captured = capsys.readouterr()
    assert (status, captured.err) == (2, "")
    assert captured.out.endswith("PASS: 3/8\nFAIL: 4/8\nSKIPPED: 1/8\n")


def test_a_second_opinion_that_differs_is_told_and_makes_the_status_two(directory, capsys):
    # regopy 1.5.2 lowers ASCII letters only.
    source = 'package app_test\n\ntest_lower if lower("À") == "à"\n\ntest_fine if true\n'
    (directory / "app" / "app_test.rego").write_text(source)
    assert main(["test", "src", "--second-opinion"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "PASS: 2/2\n"
    assert captured.err == "data.app_test.test_lower: PASS, but FAIL on regopy\n"


def test_no_second_opinion_is_had_of_what_regopy_cannot_run(directory, capsys):
    source = 'package app_test\n\ntest_net if net.cidr_contains("10.0.0.0/8", "10.1.1.1")\n'
    (directory / "app" / "app_test.rego").write_text(source)
    assert main(["test", "src", "--second-opinion"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "PASS: 1/1\n"
    assert captured.err.startswith("data.app_test: no second opinion: ")
    assert "undefined function net.cidr_contains" in captured.err


def test_a_module_beyond_regopy_silences_only_the_tests_that_need_it(directory, capsys):
    source = 'package net_test\n\ntest_net if net.cidr_contains("10.0.0.0/8", "10.1.1.1")\n'
    (directory / "app" / "net_test.rego").write_text(source)
    source = 'package app_test\n\ntest_lower if lower("À") == "à"\n'
    (directory / "app" / "app_test.rego").write_text(source)
    assert main(["test", "src", "--second-opinion"]) == 2
    silence, disagreement = capsys.readouterr().err.splitlines()
    assert silence.startswith("data.net_test: no second opinion: ")
    assert disagreement == "data.app_test.test_lower: PASS, but FAIL on regopy"


class TestBesideOpa:
    pytestmark = needs_opa

    @pytest.mark.parametrize(
        "arguments",
        [
            pytest.param(["src", "-r", "app_test"], id="pass"),
            pytest.param(["src", "-v", "-r", "app_test"], id="pass verbosely"),
            pytest.param(["src"], id="fail"),
            pytest.param(["src", "-r", "later|fine"], id="skip"),
            pytest.param(["src", "-v", "-r", "later|fine", "-z"], id="skip verbosely"),
            pytest.param(["src", "-r", "no such test"], id="no test selected"),
        ],
    )
    def test_the_report_and_the_status_are_opas(self, failing, capsys, arguments):
        expected = opa_test(*arguments)
        status, output = ours(capsys, *arguments)
        assert blocks(output) == blocks(expected.stdout)
        assert status == expected.returncode

    def test_the_json_report_is_opas(self, failing, capsys):
        expected = opa_test("src", "--format", "json")
        status, output = ours(capsys, "src", "--format", "json")
        assert by_name(output) == by_name(expected.stdout)
        assert status == expected.returncode


def opa_test(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(OPA), "test", *arguments], capture_output=True, text=True, timeout=30
    )


def by_name(report: str) -> dict[str, object]:
    documents = json.loads(report)
    assert all(isinstance(document.pop("duration"), int) for document in documents)
    return {document["name"]: document for document in documents}


def test_tests_may_be_rego_v0(tmp_path, capsys):
    (tmp_path / "a_test.rego").write_text(V0)
    assert main(["test", "-b", str(tmp_path)]) == 1
    assert "`if` keyword is required before rule body" in capsys.readouterr().err
    assert main(["test", "--v0-compatible", str(tmp_path)]) == 0
    (tmp_path / ".manifest").write_text('{"rego_version": 0}')
    assert main(["test", "-b", str(tmp_path)]) == 0
