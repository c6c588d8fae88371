import os
import socket
import subprocess
import sys
import threading

import pytest

from policy_agent.client import AgentUnavailableError, Decision, decide


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
            Decision(False, reasons=("no policy is active",), code="policy_unavailable"),
            id="no policy",
        ),
    ],
)  # fmt: skip
def test_only_a_clear_yes_allows(agent, answer, expected):
    answers, seen = agent
    answers.append((200, answer))
    assert decide("/a/b", {"user": "u"}) == expected
    assert (seen[0].path, seen[0].body) == ("/v1/data/a/b", {"input": {"user": "u"}})


def test_a_connection_is_kept_and_replaced_once_when_it_died_meanwhile(agent):
    answers, seen = agent
    answers += [(200, {"result": True})] * 2 + [(200, None), (200, {"result": True})]
    assert all(decide("a", {}).allow for _ in range(3))
    ports = [request.port for request in seen]
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


def test_the_callers_token_is_passed_on(agent):
    answers, seen = agent
    answers += [(200, {"result": True})] * 3
    decide("a", {}, token="t.o.k")
    decide("a", {}, token="Bearer t.o.k")
    decide("a", {})
    assert [request.headers["Authorization"] for request in seen] == [
        "Bearer t.o.k", "Bearer t.o.k", None
    ]  # fmt: skip
    with pytest.raises(ValueError, match="one line"):
        decide("a", {}, token="t\r\nX-Evil: 1")


def test_the_secret_of_the_port_is_found_and_found_again(agent, tmp_path):
    answers, seen = agent
    secret = tmp_path / "port-token"
    secret.write_text("old\n")
    refused = (401, {"code": "unauthorized", "message": "no token"})
    answers += [(200, {"result": True}), refused, (200, {"result": True}), refused]
    assert decide("a", {}).allow
    secret.write_text("new")  # the agent has started anew
    assert decide("a", {}).allow
    with pytest.raises(AgentUnavailableError, match="401: no token"):
        decide("a", {})
    tokens = [request.headers["X-Policy-Agent-Token"] for request in seen]
    assert tokens == ["old", "old", "new", "new"]


def test_a_given_secret_goes_before_the_file(agent, tmp_path, monkeypatch):
    answers, seen = agent
    (tmp_path / "port-token").write_text("file")
    monkeypatch.setenv("POLICY_AGENT_TOKEN", "given")
    answers.append((200, {"result": True}))
    decide("a", {})
    assert seen[0].headers["X-Policy-Agent-Token"] == "given"


def test_a_child_process_does_not_share_its_parents_connection(agent):
    answers, seen = agent
    answers += [(200, {"result": True})] * 2
    decide("a", {})
    child = os.fork()
    if child == 0:
        allowed = False
        try:
            allowed = decide("a", {}).allow
        finally:
            os._exit(0 if allowed else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert seen[0].port != seen[1].port


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"SSH-2.0-x\r\n\r\n", id="another protocol"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", id="no length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", id="cut"),
    ],
)
def test_what_is_no_answer_is_no_decision(monkeypatch, raw):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("POLICY_AGENT_ADDR", f"127.0.0.1:{server.getsockname()[1]}")

        def serve():
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(raw)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(AgentUnavailableError):
            decide("a", {})
        thread.join()


def test_obligations_that_cannot_be_read_deny(agent):
    answers, _ = agent
    for obligations in ("mask", ["mask"], {"type": "mask"}):
        answers.append((200, {"result": {"allow": True, "obligations": obligations}}))
        assert not decide("a", {}).allow


def test_a_path_is_escaped(agent):
    answers, seen = agent
    answers.append((200, {"result": True}))
    decide("a b/c", {})
    assert seen[0].path == "/v1/data/a%20b/c"


def test_a_secret_that_appears_later_is_found(agent, tmp_path):
    answers, seen = agent
    answers += [(200, {"result": True}), (401, {"message": "no token"}), (200, {"result": True})]
    assert decide("a", {}).allow
    (tmp_path / "port-token").write_text("new")
    assert decide("a", {}).allow
    assert [r.headers["X-Policy-Agent-Token"] for r in seen] == [None, None, "new"]
