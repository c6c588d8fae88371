import os
import stat

import pytest

from policy_agent.client import AgentUnavailableError, connection, decide, port_token
from policy_agent.config import PortTokenSource
from policy_agent.server.port_token import PortToken
from tests.decision.running import running_agent
from tests.support import control_plane

REGO = "package app\n\nallow := true\n"


@pytest.fixture(autouse=True)
def _nothing_is_known(tmp_path, monkeypatch):
    monkeypatch.setenv("POLICY_AGENT_TOKEN_PATH", str(tmp_path / "port-token"))
    yield
    connection.close()
    port_token.forget()


def test_whoever_has_the_file_may_ask(tmp_path, monkeypatch):
    server = {"port_token": {}}
    with control_plane() as plane, running_agent(plane, tmp_path, REGO, server=server) as agent:
        answer = agent.client.post("/v1/data/app/allow", json={})
        assert answer.status_code == 401
        assert answer.json()["code"] == "unauthorized"
        for path in (
            "/v1/data",
            "/",
            "/v1/policies",
            "/metrics",
            "/nowhere",
            "//v1/data",
            "/health/x",
        ):
            assert agent.client.get(path).status_code == 401
        assert agent.client.get("/health").status_code == 200
        wrong = {"X-Policy-Agent-Token": "guess"}
        assert agent.client.post("/v1/data/app/allow", headers=wrong).status_code == 401
        # The client does it on its own.
        monkeypatch.setenv("POLICY_AGENT_ADDR", agent.url.removeprefix("http://"))
        assert decide("app/allow", {}).allow
        agent.call(agent.agent.flush(5))
        assert len(plane.decisions) == 1


def test_the_secret_is_for_one_user_and_one_generation_of_the_agent(tmp_path):
    path = tmp_path / "below" / "port-token"
    source = PortTokenSource(str(path))
    PortToken.open(source)
    first = path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    target = tmp_path / "elsewhere"
    path.unlink()
    path.symlink_to(target)
    token = PortToken.open(source)
    assert not target.exists()
    assert len(path.read_text()) >= 32
    assert path.read_text() != first
    assert os.listdir(path.parent) == ["port-token"]
    assert token.admits("/v1/data", {b"x-policy-agent-token": path.read_bytes()})
    assert not token.admits("/v1/data", {b"x-policy-agent-token": first.encode()})


def test_a_secret_can_be_given(tmp_path, monkeypatch):
    server = {"port_token": {"secret": "given"}}
    with control_plane() as plane, running_agent(plane, tmp_path, REGO, server=server) as agent:
        monkeypatch.setenv("POLICY_AGENT_ADDR", agent.url.removeprefix("http://"))
        with pytest.raises(AgentUnavailableError, match="401"):
            decide("app/allow", {})
        monkeypatch.setenv("POLICY_AGENT_TOKEN", "given")
        port_token.forget()
        assert decide("app/allow", {}).allow
        assert not (tmp_path / "port-token").exists()


def test_a_file_that_cannot_be_written_opens_the_port_to_nobody(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    token = PortToken.open(PortTokenSource(str(tmp_path / "file" / "port-token")))
    assert "server.port_token.path: cannot be written" in caplog.text
    assert not token.admits("/v1/data", {})
