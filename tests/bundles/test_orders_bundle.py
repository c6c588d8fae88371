"""The sample bundle keeps its promises, on our engine and on the real OPA."""

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from policy_agent.bundle.directory import read_directory
from policy_agent.cli import main
from policy_agent.codec import decode_json
from policy_agent.rego import Policy
from tests.support import OPA, needs_opa

ORDERS = Path(__file__).parents[2] / "bundles" / "orders"
MINE = {"type": "order", "id": "o-1", "owner": "alice", "region": "eu", "amount": 300}
NOT_GRANTED = "none of the subject's roles grants this action on this order"
MASK = {"type": "mask_fields", "fields": ["customer.email", "payment.card"]}
AUDIT = {"type": "audit", "level": "full"}
STEP_UP = {"type": "step_up", "method": "mfa"}


@pytest.fixture(scope="module")
def policy():
    bundle = read_directory("orders", ORDERS)
    with Policy.from_modules(bundle.modules, bundle.data) as policy:
        yield policy


def question(role, action, *, mfa=False, **changes):
    return {
        "subject": {"id": "alice", "roles": [role], "region": "eu", "mfa": mfa},
        "action": action,
        "resource": MINE | changes,
    }


@pytest.mark.parametrize(
    ("input_document", "allow", "obligations", "reasons"),
    [
        pytest.param(question("customer", "orders:read"), True, [], [], id="own order"),
        pytest.param(
            question("customer", "orders:read", owner="bob"), False, [], [NOT_GRANTED], id="other's"
        ),
        pytest.param(question("support", "orders:read"), True, [MASK], [], id="masked read"),
        pytest.param(question("auditor", "orders:read"), True, [AUDIT], [], id="audited read"),
        pytest.param(
            question("manager", "orders:refund"),
            False,
            [STEP_UP],
            ["a refund above 100 needs multi-factor authentication"],
            id="refund needs a step-up",
        ),
        pytest.param(
            question("manager", "orders:refund", mfa=True), True, [AUDIT], [], id="refund with mfa"
        ),
        pytest.param(
            question("manager", "orders:refund", mfa=True, amount=501),
            False,
            [],
            ["the refund exceeds the limit of 500"],
            id="refund above the limit",
        ),
        pytest.param(
            question("manager", "orders:fly"),
            False,
            [],
            ["action must be a known action"],
            id="unknown action",
        ),
    ],
)
def test_decisions(policy, input_document, allow, obligations, reasons):
    assert policy.evaluate("orders/authz/decision", input_document) == {
        "allow": allow,
        "obligations": obligations,
        "reasons": reasons,
    }
    assert policy.evaluate("orders/authz/allow", input_document) is allow


def test_its_own_tests_pass(capsys):
    assert main(["test", str(ORDERS)]) == 0
    passed, total = capsys.readouterr().out.removeprefix("PASS: ").split("/")
    assert int(passed) == int(total) >= 15


def opa(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(OPA), *arguments], capture_output=True, text=True, timeout=30)


class TestBesideOpa:
    pytestmark = needs_opa

    @pytest.mark.parametrize(
        "arguments",
        [
            pytest.param(["test", "--fail-on-empty"], id="tests pass"),
            pytest.param(["check", "--strict", "--bundle"], id="strict check"),
            pytest.param(["fmt", "--fail", "--diff"], id="formatted"),
        ],
    )
    def test_opa_finds_nothing_wrong(self, arguments):
        result = opa(*arguments, str(ORDERS))
        assert result.returncode == 0, result.stdout + result.stderr

    def test_opa_decides_alike_on_sound_and_unsound_requests(self, policy, tmp_path):
        text = json.dumps([request(random.Random(seed)) for seed in range(300)])
        inputs = decode_json(text.encode())
        path = tmp_path / "input.json"
        path.write_text(text)
        query = "[d | some request in input; d := data.orders.authz.decision with input as request]"
        result = opa("eval", "-b", str(ORDERS), "-i", str(path), "-f", "raw", query)
        expected = json.loads(result.stdout)
        assert [policy.evaluate("orders/authz/decision", each) for each in inputs] == expected
        assert 30 < sum(decision["allow"] for decision in expected) < 270


def request(rng: random.Random) -> dict[str, Any]:
    """Return a request that is sound, or with one or two values that make no sense."""
    roles = ["customer", "support", "manager", "auditor"]
    subject: dict[str, Any] = {
        "id": rng.choice(["alice", "bob"]),
        "roles": rng.sample(roles, rng.randint(1, 2)),
        "region": rng.choice(["eu", "us"]),
        "mfa": rng.choice([True, False]),
    }
    resource: dict[str, Any] = {
        "type": "order",
        "owner": rng.choice(["alice", "bob"]),
        "region": rng.choice(["eu", "us"]),
        "amount": rng.choice([50, 100, 100.5, 500, 501]),
    }
    action = rng.choice(["orders:read", "orders:create", "orders:cancel", "orders:refund"])
    document: dict[str, Any] = {"subject": subject, "action": action, "resource": resource}
    for _ in range(rng.choice([0, 0, 1, 2])):
        place = rng.choice([subject, resource, document])
        key = rng.choice(list(place))
        place[key] = rng.choice([None, "", 1, -1, True, [], {}, "orders:read", ["auditor", 1]])
    return document
