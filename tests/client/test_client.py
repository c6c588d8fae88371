import json
import subprocess
import sys

import pytest

from policy_agent.client import AgentUnavailableError, Decision, DeniedError, decide, enforce
from policy_agent.client.connection import close
from tests.support import http_server, reply


@pytest.fixture(autouse=True)
def _no_kept_connection():
    close()
    yield
    close()


@pytest.fixture
def agent(monkeypatch):
    """An agent whose answers a test lists; yields (answers, requests seen)."""
    answers, seen = [], []

    def handle(request, body):
        seen.append((request.path, json.loads(body), request.client_address))
        status, answer = answers.pop(0)
        if answer is None:
            request.close_connection = True
        else:
            reply(request, status, json.dumps(answer).encode())

    with http_server(handle) as url:
        monkeypatch.setenv("POLICY_AGENT_ADDR", url.removeprefix("http://"))
        yield answers, seen


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param({"result": True}, Decision(True, result=True), id="true"),
        pytest.param({"result": False}, Decision(False, result=False), id="false"),
        pytest.param(
            {"decision_id": "d", "result": {"allow": True, "obligations": [{"type": "x"}]}},
            Decision(
                True,
                obligations=({"type": "x"},),
                decision_id="d",
                result={"allow": True, "obligations": [{"type": "x"}]},
            ),
            id="object",
        ),
        pytest.param(
            {"result": {"allow": "yes", "reasons": ["r"]}},
            Decision(False, reasons=("r",), result={"allow": "yes", "reasons": ["r"]}),
            id="only true allows",
        ),
        pytest.param({"result": 1}, Decision(
            False, reasons=("the policy has no decision at a/b",), result=1), id="number"),
        pytest.param(
            {}, Decision(False, reasons=("the policy has no decision at a/b",)), id="none"),
        pytest.param(
            {"warning": {"code": "policy_unavailable", "message": "no policy is active"}},
            Decision(False, reasons=("no policy is active",)), id="no policy",
        ),
    ],
)  # fmt: skip
def test_only_a_clear_yes_allows(agent, answer, expected):
    answers, seen = agent
    answers.append((200, answer))
    assert decide("/a/b", {"user": "u"}) == expected
    assert seen[0][:2] == ("/v1/data/a/b", {"input": {"user": "u"}})


def test_a_connection_is_kept_and_replaced_once_when_it_died_meanwhile(agent):
    answers, seen = agent
    answers += [(200, {"result": True})] * 2 + [(200, None), (200, {"result": True})]
    assert all(decide("a", {}).allow for _ in range(3))
    ports = [address[1] for _, _, address in seen]
    assert ports[0] == ports[1] == ports[2] != ports[3]


def test_a_fresh_connection_that_fails_is_not_tried_again(agent):
    answers, seen = agent
    answers.append((200, None))
    with pytest.raises(AgentUnavailableError, match="cannot be reached"):
        decide("a", {})
    assert len(seen) == 1


def test_an_error_answer_is_no_decision(agent):
    answers, _ = agent
    answers.append((500, {"code": "decision_log_error", "message": "spool is full"}))
    with pytest.raises(AgentUnavailableError, match="answered 500: spool is full"):
        decide("a", {})


def test_no_agent_is_no_decision(monkeypatch):
    monkeypatch.setenv("POLICY_AGENT_ADDR", "127.0.0.1:1")
    with pytest.raises(AgentUnavailableError, match=r"127\.0\.0\.1:1 cannot be reached"):
        decide("a", {})


def test_obligations_are_fulfilled_in_order():
    decision = Decision(True, obligations=({"type": "add", "n": 1}, {"type": "double"}))
    handlers = {"add": lambda o, v: v + o["n"], "double": lambda o, v: v * 2}
    assert enforce(decision, handlers, lambda: 3) == 8


def test_an_obligation_nobody_understands_denies_before_anything_is_done():
    ran = []
    decision = Decision(True, obligations=({"type": "known"}, {"type": "unknown"}))
    with pytest.raises(DeniedError, match="'unknown'"):
        enforce(decision, {"known": lambda o, v: ran.append(o)}, lambda: ran.append("act"))
    assert ran == []


def test_a_denial_carries_its_reasons():
    decision = Decision(False, reasons=("no", "never"), obligations=({"type": "step_up"},))
    ran = []
    with pytest.raises(DeniedError, match="no; never") as caught:
        enforce(decision, {}, lambda: ran.append("act"))
    assert caught.value.reasons == ("no", "never")
    assert caught.value.obligations == ({"type": "step_up"},)
    assert ran == []


def test_the_client_needs_the_standard_library_only():
    code = (
        "import sys, policy_agent.client as c; import sysconfig;"
        "own = {m.split('.')[0] for m in sys.modules} - sys.stdlib_module_names;"
        "print(sorted(own - {'policy_agent', '__main__'}))"
    )
    result = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, cwd="."
    )
    assert result.stdout.strip() == "[]"
