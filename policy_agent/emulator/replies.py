"""Answers of the emulated APIs as HTTP responses, in Lambda's shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from policy_agent.codec import encode_json
from policy_agent.emulator.refusal import Refusal


def json_reply(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Response:
    """Return `value` as JSON."""
    return raw_json_reply(status, encode_json(value), headers)


def raw_json_reply(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> Response:
    """Return a body that is JSON already."""
    return Response(body, status, headers=headers, media_type="application/json")


def accepted() -> Response:
    """Return Lambda's answer to posted results and errors."""
    return json_reply(202, {"status": "OK"})


def refuse(refusal: Refusal) -> Response:
    """Return Lambda's error body with its status."""
    body = {"errorMessage": refusal.message, "errorType": refusal.error_type}
    return json_reply(refusal.status, body)


def gone() -> Response:
    """Answer a call whose process is being killed: Lambda's "container error"."""
    return refuse(Refusal(500, "ContainerError", "The environment is being reset"))
