import json
import subprocess

import pytest

from policy_agent.bundle.directory import read_path
from policy_agent.errors import EvaluationError, PolicyError
from policy_agent.model import UNDEFINED
from policy_agent.rego import Policy
from policy_agent.rego.plan_json import PlanReader
from tests.support import OPA, needs_opa

MODULES = {
    "app.rego": """package app

default allow := false

allow if input.user in data.app.admins

limits[region].max := 2 * n if some region, n in data.app.regions

reasons contains "no user" if not input.user

twice(x) := 2 * x

four := twice(2.5)

system := 1
""",
    "deep.rego": "package app.deep.er\n\np := data.app.allow\n\nq[x] := x if some x in [1, 2]\n",
    "hidden.rego": 'package system.log\n\nmask contains "/input/x"\n',
    "slash.rego": 'package a["b/c"]\n\np := 1\n',
}
DATA = {"app": {"admins": ["alice"], "regions": {"eu": 1.5}}, "other": [{"x": 1}]}
PATHS = [
    "",
    "app",
    "app/allow",
    "app/allow/more",
    "app/admins",
    "app/limits",
    "app/limits/eu",
    "app/limits/eu/max",
    "app/limits/us/max",
    "app/reasons",
    "app/twice",
    "app/four",
    "app/deep",
    "app/deep/er",
    "app/deep/er/p",
    "app/deep/er/q",
    "system/log/mask",
    "other",
    "missing",
    "app/missing",
    "a",
]


@pytest.fixture(scope="module")
def both():
    with Policy.from_modules(MODULES, DATA) as compiled:
        plan = compiled.plan()
        with Policy.from_modules(MODULES, DATA, plan=plan) as ready:
            yield compiled, ready


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("question", [{"user": "alice"}, {}], ids=["alice", "nobody"])
def test_a_ready_plan_answers_every_path_like_the_sources(both, path, question):
    compiled, ready = both
    assert ready.evaluate(path, question) == compiled.evaluate(path, question)


@pytest.mark.parametrize("path", [("other", 0, "x"), ("app", "deep", "er", "q", 1), ("a", "b/c")])
def test_segments_are_not_mistaken_for_names(both, path):
    compiled, ready = both
    expected = UNDEFINED if path == ("a", "b/c") else compiled.evaluate(path, {})
    assert ready.evaluate(path, {}) == expected


def test_a_query_is_compiled_from_the_sources(both):
    compiled, ready = both
    text = "x := data.app.four"
    assert ready.query(text, {}) == compiled.query(text, {})


def test_a_ready_plan_knows_the_rules(both):
    _, ready = both
    assert {"app/allow", "app/four", "app/deep/er/p"} <= ready.rules
    assert "app/twice" not in ready.rules


def test_only_the_wanted_entry_points_are_planned():
    with Policy.from_modules(MODULES, DATA) as compiled:
        plan = compiled.plan(["app/four"])
    assert [each["name"] for each in json.loads(plan)["plans"]["plans"]] == ["app/four"]
    with Policy.from_modules({}, DATA, plan=plan) as ready:
        assert ready.evaluate("app/four") == 5
        assert ready.evaluate("app/allow") is UNDEFINED
        assert ready.evaluate("app/admins") == ["alice"]


def test_an_entry_point_that_is_none_is_refused():
    with (
        Policy.from_modules(MODULES, DATA) as compiled,
        pytest.raises(PolicyError, match='"app/none" does not refer to a rule'),
    ):
        compiled.plan(["app/none"])


def test_of_a_rule_with_many_bodies_only_what_matches_is_read(monkeypatch):
    bodies = [f'p := {n} if {{ input.n == {n}; input.s == "s{n}" }}' for n in range(300)]
    bodies += [f'p := {n} if {{ input.s == "s{n}"; every x in [1] {{ x == 1 }} }}' for n in (7, 8)]
    modules = {"many.rego": "\n".join(["package many", *bodies])}
    with Policy.from_modules(modules) as compiled:
        plan = compiled.plan(["many/p"])
    read = []
    blocks = PlanReader.blocks

    def noted(self, raw, params):
        read.extend(raw)
        return blocks(self, raw, params)

    monkeypatch.setattr(PlanReader, "blocks", noted)
    with Policy.from_modules(modules, plan=plan) as ready:
        assert ready.evaluate("many/p", {"n": 250, "s": "s250"}) == 250
        assert len(read) < 20
        assert ready.evaluate("many/p", {"n": 250, "s": "s7"}) == 7
        assert ready.evaluate("many/p", {"n": 7, "s": "s7"}) == 7
        assert ready.evaluate("many/p", {"n": True, "s": "s250"}) is UNDEFINED
        assert ready.evaluate("many/p", {}) is UNDEFINED


def altered(change) -> bytes:
    with Policy.from_modules(MODULES, DATA) as compiled:
        document = json.loads(compiled.plan())
    change(document)
    return json.dumps(document).encode()


def _alter_statement(document):
    document["funcs"]["funcs"][0]["blocks"][0]["stmts"][0]["type"] = "LaunchStmt"


def _alter_builtin(document):
    document["static"]["builtin_funcs"].append({"name": "no.such", "decl": {}})


def _add_network(document):
    document["static"]["builtin_funcs"].append({"name": "http.send", "decl": {}})


def _alter_params(document):
    document["funcs"]["funcs"][0]["params"] = [1, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(_alter_statement, "unrecognized statement type", id="statement"),
        pytest.param(_alter_builtin, "undefined function no.such", id="built-in"),
        pytest.param(_add_network, "http.send", id="network"),
        pytest.param(_alter_params, "first parameters", id="parameters"),
        pytest.param(lambda document: document.pop("static"), "string", id="no strings"),
    ],
)
def test_a_malformed_plan_is_refused(change, message):
    with pytest.raises(PolicyError, match=message):
        Policy.from_modules({}, {}, plan=altered(change))


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        pytest.param(b'{"static": ', "not JSON", id="cut off"),
        pytest.param(b"[]", "must be an object", id="a list"),
        pytest.param(b"{}", "no entry points", id="empty"),
    ],
)
def test_what_is_no_plan_is_refused(plan, message):
    with pytest.raises(PolicyError, match=message):
        Policy.from_modules(MODULES, DATA, plan=plan)


def test_what_only_reading_a_function_shows_ends_its_evaluation():
    def change(document):
        text = json.dumps(document["funcs"]).replace("g0.data.app.twice", "g0.data.app.thrice")
        document["funcs"] = json.loads(text)
        for each in document["funcs"]["funcs"]:
            if each["name"] == "g0.data.app.thrice":
                each["name"] = "g0.data.app.twice"

    with Policy.from_modules({}, DATA, plan=altered(change)) as ready:
        with pytest.raises(EvaluationError, match="thrice"):
            ready.evaluate("app/four", {})
        assert ready.evaluate("app/allow", {"user": "alice"}) is True


@needs_opa[0]
@needs_opa[1]
def test_a_bundle_of_opa_build_answers_its_entry_points(tmp_path):
    source = tmp_path / "src"
    source.mkdir()
    (source / "app.rego").write_text(MODULES["app.rego"])
    (source / "data.json").write_text(json.dumps(DATA))
    bundle = tmp_path / "bundle.tar.gz"
    command = [str(OPA), "build", "-t", "plan", "-e", "app/allow", "-e", "app/four"]
    subprocess.run([*command, "-b", str(source), "-o", str(bundle)], check=True)
    assert read_path("b", bundle).plan is not None
    with Policy.from_bundle(bundle) as ready:
        assert ready.evaluate("app/allow", {"user": "alice"}) is True
        assert ready.evaluate("app/allow", {}) is False
        assert ready.evaluate("app/four") == 5
        assert ready.evaluate("app/reasons", {}) is UNDEFINED
        assert ready.evaluate("app/regions/eu") == 1.5
