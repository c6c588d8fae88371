from __future__ import annotations

import io
import json
import re

import pytest

from policy_agent.decision_log.sinks.console import ConsoleSink
from policy_agent.errors import DecisionLogError

EVENT = {"decision_id": "d", "timestamp": "2026-11-21T05:39:58Z", "input": {"a": "<b>"}}


def printed(event):
    stream = io.StringIO()
    ConsoleSink(stream).write(event)
    text = stream.getvalue()
    assert text.count("\n") == 1
    return json.loads(text)


def test_a_line_has_opas_fields_beside_the_events():
    line = printed(EVENT)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", line.pop("time"))
    assert line == {
        **EVENT,
        "level": "info",
        "msg": "Decision Log",
        "type": "openpolicyagent.org/decision_logs",
    }


@pytest.mark.parametrize(
    ("error", "text"),
    [
        pytest.param({"code": "c", "message": "m"}, "c: m", id="without location"),
        pytest.param(
            {"code": "c", "message": "m", "location": {"file": "f.rego", "row": 3, "col": 1}},
            "f.rego:3: c: m",
            id="with location",
        ),
    ],
)
def test_an_error_is_printed_as_text(error, text):
    event = {**EVENT, "error": error}
    assert printed(event)["error"] == text
    assert event["error"] is error


def test_a_closed_stream_is_our_error():
    stream = io.StringIO()
    stream.close()
    with pytest.raises(DecisionLogError, match="cannot be printed: ValueError"):
        ConsoleSink(stream).write(EVENT)
