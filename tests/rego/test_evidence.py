"""What an evaluation went by: the rules that held, and what the clock and chance said."""

import io
import subprocess
import tarfile

import pytest

from policy_agent.model import Evidence
from policy_agent.rego import Policy
from tests.support import OPA, needs_opa

REGO = """package app

default allow := false

allow if admin

allow if {
	input.owner == input.user
	not blocked(input.user)
}

admin if "admin" in input.roles

blocked(user) if user in data.blocked

level := "high" if {
	admin
} else := "low"

reasons contains "admin" if admin

reasons contains reason if {
	some name in input.flags
	reason := sprintf("flag %s", [name])
}

rights[right] := true if some right in input.flags

elsewhere if allow with input as {"roles": ["admin"]}

decision := {"allow": allow, "level": level, "reasons": reasons, "rights": rights}
"""
LINES = {
    "default allow": 3,
    "allow by admin": 5,
    "allow by owner": 7,
    "admin": 12,
    "blocked": 14,
    "high": 16,
    "low": 18,
    "reason admin": 20,
    "reason flag": 22,
    "rights": 27,
    "elsewhere": 29,
    "decision": 31,
}
DATA = {"blocked": ["eve"]}


def named(evidence):
    """Return the rules by the names that they have above."""
    by_line = {line: name for name, line in LINES.items()}
    assert all(rule.startswith("data.app.") for rule in evidence.rules)
    return [by_line[int(rule.rpartition(":")[2])] for rule in evidence.rules]


@pytest.fixture(
    scope="module", params=["sources", "own plan", pytest.param("OPA's plan", marks=needs_opa)]
)
def policy(request, tmp_path_factory):
    modules = {"app.rego": REGO}
    plan = None
    if request.param == "own plan":
        with Policy.from_modules(modules, DATA) as made:
            plan = made.plan()
    elif request.param != "sources":
        plan = plan_of_opa(tmp_path_factory.mktemp("opa"))
    with Policy.from_modules(modules, DATA, plan=plan) as made:
        yield made


def plan_of_opa(directory):
    (directory / "app.rego").write_text(REGO)
    entrypoints = [word for name in ("decision", "elsewhere") for word in ("-e", f"app/{name}")]
    command = [str(OPA), "build", "-t", "plan", *entrypoints, "-o", "b.tar.gz", "app.rego"]
    subprocess.run(command, cwd=directory, check=True)
    with tarfile.open(fileobj=io.BytesIO((directory / "b.tar.gz").read_bytes())) as archive:
        return archive.extractfile("/plan.json").read()


@pytest.mark.parametrize(
    ("asked", "held"),
    [
        (
            {"roles": ["admin"], "flags": []},
            {"allow by admin", "admin", "high", "reason admin", "decision"},
        ),
        (
            {"roles": [], "user": "ann", "owner": "ann", "flags": ["a", "b"]},
            {"allow by owner", "low", "reason flag", "rights", "decision"},
        ),
        (
            {"roles": [], "user": "eve", "owner": "eve", "flags": []},
            {"default allow", "blocked", "low", "decision"},
        ),
    ],
)
def test_the_rules_that_held_are_told_each_once(policy, asked, held):
    evidence = Evidence()
    policy.evaluate("app/decision", asked, evidence=evidence)
    found = named(evidence)
    assert len(found) == len(set(found))
    assert set(found) == held
    assert found[-1] == "decision"


def test_rules_that_held_under_another_input_are_told_too(policy):
    evidence = Evidence()
    assert policy.evaluate("app/elsewhere", {}, evidence=evidence)
    assert named(evidence) == ["admin", "allow by admin", "elsewhere"]


def test_a_rule_of_many_bodies_tells_which_one_held():
    bodies = "".join(f'tier := {n} if input.name == "n{n}"\n\n' for n in range(40))
    with Policy.from_modules({"app.rego": f"package app\n\n{bodies}"}) as policy:
        evidence = Evidence()
        assert policy.evaluate("app/tier", {"name": "n17"}, evidence=evidence) == 17
        assert evidence.rules == [f"data.app.tier app.rego:{3 + 2 * 17}"]


def test_what_the_clock_said_is_told():
    source = "package app\n\nnow := time.now_ns()\n\nlater if now > 0\n"
    with Policy.from_modules({"app.rego": source}) as policy:
        evidence = Evidence()
        now = policy.evaluate("app/now", evidence=evidence)
        assert evidence.nd_builtin_cache == {"time.now_ns": {"[]": now}}


def test_a_second_evaluation_member_by_member_tells_only_its_own():
    source = """package app

names[key] := value if some key, value in input.pairs

names[key] := "twice" if key := input.double

ok if names.a == 1
"""
    asked = {"pairs": {"a": 1, "b": 2}, "double": "b"}
    with Policy.from_modules({"app.rego": source}) as policy:
        evidence = Evidence()
        assert policy.evaluate("app/ok", asked, evidence=evidence)
        assert len(evidence.rules) == len(set(evidence.rules))
        assert evidence.rules[-1] == "data.app.ok app.rego:7"
