"""`check --strict`, `--v0-v1` and `--capabilities`, compared with the real `opa check`."""

import json

import pytest

from tests.publisher.asking import opas, ours
from tests.support import needs_opa


def function(*types: str) -> dict[str, object]:
    *args, result = ({"type": each} for each in types)
    return {"type": "function", "args": args, "result": result}


FILES = {
    "strict.rego": """package s

import data.foo
import data.bar as baz
import data.used
import input.x

p if {
	a := 1
	b := 2
	b == 2
	[c, d] := [1, 2]
	d == 2
	used.y
}

f(x, y) := z if {
	z := y
}

g(x) := 1 if {
	true
} else := 2 if {
	x == 1
}

h(x) if {
	q := [i | i := 1; j := 2]
	some foo in [1]
	foo == 1
}

k(_, n) if true

m[v] := w if {
	v := 1
	w := 2
	u := v
}

e if {
	every t in [1] {
		r := t
		t == 1
	}
}

n contains o if {
	o := 1
	l := 2
}

dead(x, x) if true
""",
    "v1.rego": "package v\n\nimport rego.v1\n\np if true\n",
    "old.rego": "package v2\n\np { true }\n\nq = 1\n\nr = x { x := any([true]) }\n",
    "keywords.rego": "package v3\n\nimport future.keywords.if\n\np if { true }\n",
    "calls.rego": 'package c\n\np if upper("x") == "X"\n\nq if lower("X") == "x"\n',
    "none.json": '{"builtins": [{"name": "equal"}]}',
    "few.json": json.dumps(
        {
            "builtins": [
                {"name": "equal", "infix": "==", "decl": function("any", "any", "boolean")},
                {"name": "lower", "decl": function("string", "string")},
            ],
            "features": ["rego_v1"],
        }
    ),
}


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)


def test_strict_mode_refuses_what_nothing_uses(capsys):
    status, _, error = ours(capsys, "check", "-S", "-m", "1", "strict.rego")
    assert (status, error) == (
        1,
        "2 errors occurred:\n"
        "strict.rego:3: rego_compile_error: import data.foo unused\n"
        "rego_compile_error: error limit reached\n",
    )
    assert ours(capsys, "check", "strict.rego") == (0, "", "")


def test_what_capabilities_do_not_list_is_undefined(capsys):
    status, _, error = ours(capsys, "check", "--capabilities", "few.json", "calls.rego")
    assert status == 1
    assert "calls.rego:3: rego_type_error: undefined function upper" in error


@pytest.mark.parametrize("text", ["[]", "{", '{"builtins": {}}', '{"builtins": [1]}'])
def test_a_file_without_capabilities_is_an_error(tmp_path, capsys, text):
    (tmp_path / "broken.json").write_text(text)
    status, _, error = ours(capsys, "check", "--capabilities", "broken.json", "calls.rego")
    assert status == 1
    assert "broken.json: " in error


class TestBesideOpa:
    pytestmark = needs_opa

    @pytest.mark.parametrize(
        "arguments",
        [
            pytest.param(["-S", "-m", "0", "strict.rego"], id="strict"),
            pytest.param(["-S", "strict.rego"], id="strict and limited"),
            pytest.param(["-S", "-f", "json", "strict.rego"], id="strict as JSON"),
            pytest.param(["-S", "--v0-compatible", "old.rego"], id="strict v0"),
            pytest.param(["--v0-compatible", "old.rego"], id="v0"),
            pytest.param(["--v0-v1", "v1.rego"], id="both"),
            pytest.param(["--v0-v1", "old.rego"], id="both, but only v0"),
            pytest.param(["--v0-v1", "keywords.rego", "v1.rego", "old.rego"], id="both, mixed"),
            pytest.param(["--capabilities", "few.json", "calls.rego"], id="capabilities"),
            pytest.param(["--capabilities", "none.json", "calls.rego"], id="without v1"),
            pytest.param(
                ["--capabilities", "none.json", "--v0-compatible", "old.rego"], id="v0 needs none"
            ),
        ],
    )
    def test_the_report_is_opas(self, capsys, arguments):
        assert ours(capsys, "check", *arguments) == opas("check", *arguments)

    def test_eval_can_be_strict_too(self, capsys):
        arguments = ["eval", "--strict", "-d", "strict.rego", "data"]
        assert ours(capsys, *arguments) == opas(*arguments)
