"""Plans as JSON: the same after a round trip, and refused when malformed."""

from __future__ import annotations

import copy
import json
import random
import subprocess
import tarfile
from pathlib import Path

import pytest

from policy_agent.errors import EvaluationError, PolicyError
from policy_agent.rego import plan
from policy_agent.rego.context import Context
from policy_agent.rego.plan_json import MAX_NESTING, read_plan, write_plan
from policy_agent.rego.runtime.runner import PlanRunner
from tests.rego.plans.plan_building import (
    DATA,
    FALSE,
    INPUT,
    RESULT,
    TRUE,
    block,
    local,
    policy,
    rule,
    string,
)
from tests.support import OPA


def every_statement() -> plan.Policy:
    """Return a plan that holds each kind of statement once or more."""
    inner = block(plan.NopStmt(), plan.EqualStmt(TRUE, FALSE))
    func = rule(
        block(
            plan.MakeArrayStmt(3, 3),
            plan.ArrayAppendStmt(string(0), 3),
            plan.AssignIntStmt(-7, 4),
            plan.AssignVarOnceStmt(TRUE, 5),
            plan.AssignVarStmt(local(3), 6),
            plan.BlockStmt((inner, block(plan.BreakStmt(1)))),
        ),
        block(
            plan.CallDynamicStmt((0, 1), 7, (string(0), local(3))),
            plan.CallStmt("count", (local(3),), 8),
            plan.DotStmt(INPUT, string(1), 9),
            plan.IsArrayStmt(local(3)),
            plan.IsDefinedStmt(3),
            plan.IsObjectStmt(DATA),
            plan.IsSetStmt(local(3)),
            plan.IsUndefinedStmt(30),
            plan.LenStmt(local(3), 10),
            plan.MakeNullStmt(11),
            plan.MakeNumberIntStmt(2**62, 12),
            plan.MakeNumberRefStmt(2, 13),
            plan.MakeObjectStmt(14),
            plan.MakeSetStmt(15),
            plan.NotEqualStmt(TRUE, FALSE),
            plan.NotStmt(inner),
            plan.ObjectInsertOnceStmt(string(0), TRUE, 14),
            plan.ObjectInsertStmt(string(1), TRUE, 14),
            plan.ObjectMergeStmt(14, 14, 16),
            plan.ResetLocalStmt(3),
            plan.ResultSetAddStmt(3),
            plan.ScanStmt(0, 17, 18, inner),
            plan.SetAddStmt(TRUE, 15),
            plan.WithStmt(0, (0, 1), TRUE, inner),
        ),
    )
    count = plan.BuiltinFunc("count", {"result": {"type": "number"}, "type": "function"})
    return policy(func, strings=("g0", "b", "1.5"), builtins=(count,), files=("a.rego",))


def test_a_plan_survives_writing_and_reading():
    original = every_statement()
    assert read_plan(write_plan(original)) == original


def test_locations_survive():
    where = plan.Location(0, 3, 4, 5, 6)
    made = policy(rule(block(plan.NopStmt(where))), files=("a.rego",))
    again = read_plan(write_plan(made))
    assert again.funcs[0].blocks[0].stmts[0].location == where


def test_missing_lists_are_empty():
    assert read_plan(b"{}") == plan.Policy()
    assert read_plan(b'{"funcs": {"funcs": null}, "static": {"strings": null}}') == plan.Policy()


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        pytest.param({"type": "EvilStmt", "stmt": {}}, "unrecognized statement", id="type"),
        pytest.param({"type": "BreakStmt", "stmt": {"index": 1}}, "break leads out", id="break"),
        pytest.param({"type": "BreakStmt", "stmt": {"index": -1}}, "break leads out", id="back"),
        pytest.param({"type": "MakeNullStmt", "stmt": {"target": -1}}, "negative", id="local"),
        pytest.param({"type": "MakeNullStmt", "stmt": {"target": True}}, "integer", id="true"),
        pytest.param({"type": "MakeNullStmt", "stmt": {"target": 0}}, "parameter", id="input"),
        pytest.param({"type": "MakeNullStmt", "stmt": []}, "must be an object", id="body"),
        pytest.param(
            {"type": "MakeNumberRefStmt", "stmt": {"index": 9, "target": 3}}, "string", id="number"
        ),
        pytest.param(
            {"type": "CallStmt", "stmt": {"func": "nope", "args": [], "result": 3}},
            "undefined function nope",
            id="function",
        ),
        pytest.param(
            {"type": "CallStmt", "stmt": {"func": "g0.data.t.p", "args": [], "result": 3}},
            "0 arguments, not 2",
            id="arity",
        ),
        pytest.param(
            {"type": "IsSetStmt", "stmt": {"source": {"type": "string_index", "value": 99}}},
            "string that is not there",
            id="string",
        ),
        pytest.param(
            {"type": "IsSetStmt", "stmt": {"source": {"type": "bool", "value": 1}}},
            "operand must be",
            id="operand",
        ),
    ],
)
def test_malformed_statements_are_refused(statement, message):
    document = json.loads(write_plan(policy(rule(block(plan.NopStmt())))))
    document["funcs"]["funcs"][0]["blocks"][0]["stmts"].append(statement)
    with pytest.raises(PolicyError, match=message):
        read_plan(json.dumps(document).encode())


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"nul", b'{"static": 5}', b"[" * 100_000])
def test_what_is_no_plan_is_refused(raw):
    with pytest.raises(PolicyError):
        read_plan(raw)


def test_too_deep_a_plan_is_refused():
    nested = block(plan.NopStmt())
    for _ in range(MAX_NESTING + 1):
        nested = block(plan.BlockStmt((nested,)))
    with pytest.raises(PolicyError, match="nested more than"):
        read_plan(write_plan(policy(rule(nested))))


def test_a_number_that_is_none_is_refused():
    made = policy(rule(block(plan.MakeNumberRefStmt(0, RESULT))), strings=("1x",))
    with pytest.raises(PolicyError, match="is not a number"):
        PlanRunner(read_plan(write_plan(made)), {})


def _mutate(value, chance: random.Random):
    """Change one place of a document at random."""
    places = []

    def visit(node):
        for key in node if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                visit(node[key])

    visit(value)
    node, key = chance.choice(places)
    other, other_key = chance.choice(places)
    choices = [None, True, -1, 0, 1, 2, 7, 2**70, "", "count", [], {}, other[other_key]]
    node[key] = copy.deepcopy(chance.choice(choices))


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_plan_is_refused_or_runs(seed):
    chance = random.Random(seed)
    whole = json.loads(write_plan(every_statement()))
    for _ in range(40):
        document = copy.deepcopy(whole)
        for _ in range(chance.randint(1, 3)):
            _mutate(document, chance)
        try:
            runner = PlanRunner(read_plan(json.dumps(document).encode()), {})
            for entry in runner.entrypoints:
                runner.query(entry, {"b": [1]}, Context())
        except (PolicyError, EvaluationError):
            continue


@pytest.mark.opa
@pytest.mark.skipif(OPA is None, reason="no opa: set OPA_BIN or put it on the PATH")
def test_opas_own_plan_of_a_policy_runs(tmp_path: Path):
    source = tmp_path / "p.rego"
    source.write_text("package t\n\np contains x if {\n\tsome x in input.xs\n\tx > 1\n}\n")
    bundle = tmp_path / "b.tar.gz"
    command = [str(OPA), "build", "-t", "plan", "-e", "t/p", "-o", str(bundle), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    with tarfile.open(bundle) as archive:
        raw = archive.extractfile("/plan.json").read()
    assert json.loads(write_plan(read_plan(raw))) == json.loads(raw)
    found = PlanRunner(read_plan(raw), {}).evaluate("t/p", {"xs": [1, 2, 3]})
    assert list(found) == [2, 3]
