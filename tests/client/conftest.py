import json
from dataclasses import dataclass
from typing import Any

import pytest

from policy_agent.client import connection, port_token
from tests.support import http_server, reply


@dataclass
class Asked:
    """A request that the agent of these tests has seen."""

    path: str
    body: Any
    headers: Any
    port: int


@pytest.fixture(autouse=True)
def _nothing_is_known(monkeypatch, tmp_path):
    monkeypatch.setenv("POLICY_AGENT_TOKEN_PATH", str(tmp_path / "port-token"))
    connection.close()
    port_token.forget()
    yield
    connection.close()
    port_token.forget()


@pytest.fixture
def agent(monkeypatch):
    """An agent whose answers a test lists; yields (answers, requests seen).

    An answer is (status, JSON value), with None for hanging up instead.
    """
    answers, seen = [], []

    def handle(request, body):
        port = request.client_address[1]
        seen.append(Asked(request.path, json.loads(body), request.headers, port))
        status, answer = answers.pop(0)
        if answer is None:
            request.close_connection = True
        else:
            reply(request, status, b"" if status == 204 else json.dumps(answer).encode())

    with http_server(handle) as url:
        monkeypatch.setenv("POLICY_AGENT_ADDR", url.removeprefix("http://"))
        yield answers, seen
