import json

import pytest

from tests.publisher.asking import opas, ours, write_files
from tests.support import needs_opa


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    write_files(tmp_path)
    monkeypatch.chdir(tmp_path)


def test_nothing_is_said_of_a_sound_policy(capsys):
    assert ours(capsys, "check", "p.rego") == (0, "", "")


def test_every_problem_is_told_with_its_place(capsys):
    assert ours(capsys, "check", "bad.rego") == (
        1,
        "",
        "2 errors occurred:\n"
        "bad.rego:2: rego_type_error: undefined function nope\n"
        "bad.rego:4: rego_type_error: function data.b.f has arity 1, got 2 arguments\n",
    )


class TestBesideOpa:
    pytestmark = needs_opa

    @pytest.mark.parametrize("format_name", ["pretty", "json"])
    @pytest.mark.parametrize(
        "arguments",
        [
            pytest.param(["p.rego"], id="sound"),
            pytest.param(["bad.rego"], id="calls"),
            pytest.param(["-m", "1", "bad.rego"], id="limit"),
            pytest.param(["-m", "0", "bad.rego"], id="no_limit"),
            pytest.param(["syntax.rego"], id="syntax"),
            pytest.param(["tabs.rego", "syntax.rego"], id="syntax_of_several"),
            pytest.param(["nowhere"], id="no_file"),
            pytest.param(["-b", "bundle"], id="bundle"),
            pytest.param(["bundle"], id="directory"),
            pytest.param(["a.json", "unknown.txt"], id="other_files"),
            pytest.param(["v0.rego"], id="v0_is_refused"),
            pytest.param(["--v0-compatible", "v0.rego"], id="v0"),
        ],
    )
    def test_the_report_is_opas(self, capsys, arguments, format_name):
        arguments = ["check", "-f", format_name, *arguments]
        assert ours(capsys, *arguments) == opas(*arguments)

    @pytest.mark.parametrize(
        "arguments",
        [
            pytest.param(["types.rego"], id="types"),
            pytest.param(["-s", "schema.json", "by_schema.rego"], id="schema"),
        ],
    )
    def test_type_errors_are_opas(self, capsys, arguments):
        """In JSON only OPA has details: the types as objects."""
        assert ours(capsys, "check", *arguments) == opas("check", *arguments)
        errors, expected = (
            json.loads(err)["errors"]
            for _, _, err in (
                ours(capsys, "check", "-f", "json", *arguments),
                opas("check", "-f", "json", *arguments),
            )
        )
        for error in expected:
            del error["details"]
        assert errors == expected
