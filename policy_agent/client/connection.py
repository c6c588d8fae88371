"""One keep-alive connection per thread to the agent on localhost."""

from __future__ import annotations

import http.client
import json
import os
import threading
from typing import Any

ADDRESS_VARIABLE = "POLICY_AGENT_ADDR"
DEFAULT_ADDRESS = "127.0.0.1:8181"
# Also how long a call during the function's own static initialisation waits for the agent.
TIMEOUT_SECONDS = 5.0

_local = threading.local()


class AgentUnavailableError(Exception):
    """No decision could be had from the agent; treat it as a denial."""


def post(path: str, body: Any) -> dict[str, Any]:
    """Send one JSON request and return the JSON object of the answer.

    A connection that was kept across a freeze may have died with it, so a call that fails on a
    reused connection is sent once more on a new one.

    Raises:
        AgentUnavailableError: no agent listens, it did not answer in time, or it answered with an
            error.
    """
    raw = json.dumps(body, separators=(",", ":")).encode()
    connection: http.client.HTTPConnection | None = getattr(_local, "connection", None)
    if connection is not None:
        try:
            return _read(*_exchange(connection, path, raw))
        except (OSError, http.client.HTTPException):
            close()
    _local.connection = http.client.HTTPConnection(_address(), timeout=TIMEOUT_SECONDS)
    try:
        return _read(*_exchange(_local.connection, path, raw))
    except (OSError, http.client.HTTPException) as exc:
        close()
        msg = f"the policy agent at {_address()} cannot be reached: {exc}"
        raise AgentUnavailableError(msg) from exc


def close() -> None:
    """Close this thread's connection."""
    connection: http.client.HTTPConnection | None = getattr(_local, "connection", None)
    if connection is not None:
        connection.close()
        _local.connection = None


def _address() -> str:
    return os.environ.get(ADDRESS_VARIABLE, DEFAULT_ADDRESS)


def _exchange(
    connection: http.client.HTTPConnection, path: str, raw: bytes
) -> tuple[http.client.HTTPResponse, bytes]:
    connection.request("POST", path, raw, {"Content-Type": "application/json"})
    response = connection.getresponse()
    return response, response.read()


def _read(response: http.client.HTTPResponse, content: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(content)
    except ValueError:
        answer = None
    if response.status != 200 or not isinstance(answer, dict):
        message = answer.get("message", "") if isinstance(answer, dict) else ""
        msg = f"the policy agent answered {response.status}: {message or response.reason}"
        raise AgentUnavailableError(msg)
    return answer
