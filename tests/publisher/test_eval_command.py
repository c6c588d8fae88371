import json

import pytest

from tests.publisher.asking import opas, ours, write_files
from tests.support import needs_opa

FORMATS = ("json", "pretty", "raw", "values", "bindings", "discard")


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    write_files(tmp_path)
    monkeypatch.chdir(tmp_path)


def test_results_have_values_texts_places_and_bindings(capsys):
    status, out, _ = ours(capsys, "eval", "-d", "p.rego", "x := 2;\n x > data.a.p")
    assert status == 0
    assert json.loads(out) == {
        "result": [
            {
                "expressions": [
                    {"value": True, "text": "x := 2", "location": {"row": 1, "col": 1}},
                    {"value": True, "text": "x > data.a.p", "location": {"row": 2, "col": 2}},
                ],
                "bindings": {"x": 2},
            }
        ]
    }


def test_what_policies_print_goes_to_stderr(capsys):
    assert ours(capsys, "eval", "-f", "raw", 'print("seen", 1)') == (0, "true\n", "seen 1\n")


def test_an_endless_evaluation_ends_at_its_timeout(capsys):
    query = "count([1 | numbers.range(1, 3000)[_]; numbers.range(1, 3000)[_]]) > 1"
    status, out, _ = ours(capsys, "eval", "--timeout", "50ms", query)
    assert status == 2
    assert json.loads(out)["errors"][0]["code"] == "eval_cancel_error"


class TestBesideOpa:
    pytestmark = needs_opa

    @pytest.mark.parametrize("format_name", FORMATS)
    @pytest.mark.parametrize(
        "text",
        [
            pytest.param("data.a.p", id="value"),
            pytest.param("data.a", id="package"),
            pytest.param("data.a.q[x]; data.a.p", id="several"),
            pytest.param('x := 1; y = "s"', id="bindings"),
            pytest.param("1 == 2", id="false"),
            pytest.param("true; true", id="booleans"),
            pytest.param("true; false", id="no_solution"),
            pytest.param("data.b", id="undefined"),
            pytest.param('"s"; 1; [1]', id="expressions"),
            pytest.param("x := 1; data.a.q[y]; \n1 +\n2", id="lines"),
            pytest.param('x := [1]; "日本"', id="wide"),
            pytest.param('x := "é<b>"; data.a; 1.0; 1e3; {}; []', id="escapes_and_numbers"),
            pytest.param("nope(1)", id="type_error"),
            pytest.param("x :=", id="syntax_error"),
        ],
    )
    def test_formats_are_opas(self, capsys, format_name, text):
        arguments = ["eval", "-f", format_name, "-d", "p.rego", text]
        assert ours(capsys, *arguments) == opas(*arguments)

    @pytest.mark.parametrize(
        "arguments",
        [
            pytest.param(["--fail", "input.x"], id="fail"),
            pytest.param(["--fail", "1"], id="fail_with_a_result"),
            pytest.param(["--fail-defined", "1"], id="fail_defined"),
            pytest.param(["--fail-defined", "input.x"], id="fail_defined_without_a_result"),
            pytest.param(["--package", "a", "-d", "p.rego", "p"], id="package"),
            pytest.param(["--import", "data.a as b", "-d", "p.rego", "b.p"], id="import"),
            pytest.param(["-b", "bundle", "data"], id="bundle"),
            pytest.param(["-d", "tree", "data"], id="directory"),
            pytest.param(["-d", "foo.bar:a.json", "data"], id="prefix"),
            pytest.param(["-d", "tree", "-d", "tree/sub", "data"], id="twice"),
            pytest.param(["-d", "a.json", "-d", "b.json", "data"], id="conflict"),
            pytest.param(["-d", "unknown.txt", "data"], id="unknown_name"),
            pytest.param(["--ignore", "sub", "-d", "tree", "data"], id="ignore"),
            pytest.param(["--v0-compatible", "-d", "v0.rego", "data"], id="v0"),
            pytest.param(["-d", "v0.rego", "data"], id="v0_is_refused"),
            pytest.param(["-d", "bad.rego", "data"], id="type_errors"),
            pytest.param(["-d", "syntax.rego", "data"], id="syntax_errors"),
            pytest.param(["-f", "raw", "-d", "tabs.rego", "data"], id="syntax_errors_as_text"),
            pytest.param(["-d", "nowhere", "data"], id="no_data"),
            pytest.param(["-b", "nowhere", "data"], id="no_bundle"),
            pytest.param(["-i", "nowhere", "data"], id="no_input"),
            pytest.param(["-i", "in.json", "input"], id="input"),
            pytest.param(["--timeout", "10s", "1"], id="timeout"),
        ],
    )
    def test_flags_are_opas(self, capsys, arguments):
        assert ours(capsys, "eval", *arguments) == opas("eval", *arguments)

    @pytest.mark.parametrize(
        ("arguments", "code"),
        [
            pytest.param(["--strict-builtin-errors", "1/0"], "eval_builtin_error", id="builtin"),
            pytest.param(
                ["-i", "in.json", "-d", "p.rego", "data.a.c with input.b as 1"],
                "eval_conflict_error",
                id="conflict",
            ),
        ],
    )
    def test_evaluation_errors_have_opas_code_and_place(self, capsys, arguments, code):
        """OPA adds a stack, which we do not have."""
        status, out, _ = ours(capsys, "eval", *arguments)
        opa_status, opa_out, _ = opas("eval", *arguments)
        (error,), (opa_error,) = json.loads(out)["errors"], json.loads(opa_out)["errors"]
        assert (status, error["code"]) == (opa_status, code)
        assert (error["code"], error["location"]) == (opa_error["code"], opa_error["location"])
