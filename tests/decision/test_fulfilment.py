import pytest

from policy_agent.client import connection, decide, enforce, mask_fields
from policy_agent.decision.obligations import read_fulfilment
from policy_agent.errors import RequestError
from tests.decision.running import running_agent
from tests.support import control_plane

REGO = """package app

decision := {"allow": true, "obligations": [{"type": "mask_fields", "fields": ["card"]}]}
"""


def test_fulfilled_obligations_are_on_record_beside_their_decision(tmp_path, monkeypatch):
    with control_plane() as plane, running_agent(plane, tmp_path, REGO) as agent:
        monkeypatch.setenv("POLICY_AGENT_ADDR", agent.url.removeprefix("http://"))
        decision = decide("app/decision", {})
        masked = enforce(decision, {"mask_fields": mask_fields}, lambda: {"card": "4111"})
        assert masked == {"card": "***"}
        agent.call(agent.agent.flush(5))
        connection.close()
    decided, fulfilled = plane.events
    assert fulfilled["custom"]["fulfilment"] == {
        "decision_id": decided["decision_id"],
        "obligations": [{"type": "mask_fields", "status": "fulfilled"}],
    }
    assert fulfilled["decision_id"] != decided["decision_id"]
    numbers = [event["custom"]["audit"]["seq"] for event in plane.events]
    assert numbers == [1, 2]
    assert "path" not in fulfilled


def test_a_report_that_is_none_is_not_recorded(tmp_path):
    with control_plane() as plane, running_agent(plane, tmp_path, REGO) as agent:
        answer = agent.client.post("/v1/obligations/d-1", content=b"{")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
        assert agent.client.get("/v1/obligations/d-1").status_code == 405
        answer = agent.client.post("/v1/obligations", json={"obligations": []})
        assert answer.json()["message"] == "the path must end with the id of a decision"
        agent.call(agent.agent.flush(5))
    assert plane.events == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        pytest.param([], "obligations: must be", id="no object"),
        pytest.param({"obligations": {}}, "obligations: must be", id="no list"),
        pytest.param({"obligations": [{}] * 101}, "obligations: must be", id="too many"),
        pytest.param({"obligations": ["x"]}, r"obligations\[0\]: must be an object", id="text"),
        pytest.param(
            {"obligations": [{"type": "x", "status": "done"}]}, r"\[0\].status: must be one of",
            id="unknown status",
        ),
        pytest.param(
            {"obligations": [{"type": "x" * 201, "status": "failed"}]}, r"\[0\].type: must be a",
            id="too long",
        ),
        pytest.param(
            {"obligations": [{"type": "x", "status": "failed", "card": "4111"}]},
            r"\[0\].card: is not part", id="more than a report",
        ),
    ],
)  # fmt: skip
def test_a_report_has_one_form(body, problem):
    with pytest.raises(RequestError, match=problem):
        read_fulfilment("d-1", body)
