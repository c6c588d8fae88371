"""What the other sinks write, and what is printed at SHUTDOWN, is stored and verified."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import time

import pytest

from policy_agent.cli import main
from policy_agent.config import DecisionLogs, LogSink
from policy_agent.decision_log.ids import new_decision_id
from policy_agent.decision_log.log import DecisionLog
from policy_agent.model import Decision
from tests.support import TableEvaluator

KEY = "secret"


@pytest.fixture
def audit(tmp_path, capsys):
    """Return a function that runs an audit command over one store: status, output, error."""
    (tmp_path / "key").write_text(KEY)

    def run(command, *arguments):
        status = main(["audit", command, "--dir", str(tmp_path / "store"), *map(str, arguments)])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def verify(audit, tmp_path):
    return lambda: audit("verify", "--audit-key-file", tmp_path / "key")


def record(directory, sink, count, **settings):
    decision_log = DecisionLog(
        DecisionLogs(None, sinks={"x": sink}, audit_key=KEY), {"id": "1"}, directory, **settings
    )
    for number in range(count):
        decision_log.record(
            Decision(new_decision_id(), "a", {"n": number}, True, None, {}, time.time_ns(), {}),
            TableEvaluator({}),
        )
    decision_log.close_stream()
    asyncio.run(decision_log.flush(10))
    decision_log.close()


def test_what_the_file_sink_wrote_is_stored_once_and_verified(audit, verify, tmp_path):
    path = tmp_path / "copied" / "d.jsonl"
    record(tmp_path / "agent", LogSink("file", target=str(path)), 30)
    assert audit("load", path.parent)[:2] == (
        0,
        "stored=30 closings=1 duplicates=0 quarantined=0\n",
    )
    assert audit("load", path)[1] == "stored=0 closings=0 duplicates=31 quarantined=0\n"
    status, told, _ = verify()
    assert status == 0
    assert "events=31 streams=1 closed=1" in told


def test_a_line_that_is_missing_in_the_file_is_found(audit, verify, tmp_path):
    path = tmp_path / "d.jsonl"
    record(tmp_path / "agent", LogSink("file", target=str(path)), 5)
    lines = path.read_bytes().splitlines()
    del lines[2]
    path.write_bytes(gzip.compress(b"\n".join(lines)))
    assert audit("load", path)[0] == 0
    status, told, _ = verify()
    assert status == 1
    assert "gap" in told


def test_what_was_printed_is_what_was_recorded(audit, verify, tmp_path):
    stream = io.StringIO()
    record(tmp_path / "agent", LogSink("console"), 3, stream=stream)
    path = tmp_path / "console.log"
    path.write_text(stream.getvalue())
    assert audit("load", path)[1].startswith("stored=3 closings=1")
    assert verify()[0] == 0


def test_an_upload_body_is_loaded_as_it_is(audit, tmp_path):
    event = {"decision_id": "d", "timestamp": "2026-11-21T10:00:00Z", "result": True}
    path = tmp_path / "body.gz"
    path.write_bytes(gzip.compress(json.dumps([event]).encode()))
    assert audit("load", path)[1].startswith("stored=1 ")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"a":1}\nnonsense\n', "line 2 is not JSON"),
        (b"\x1f\x8bnonsense", "is not gzip"),
        (None, "cannot be read: No such file"),
    ],
)
def test_a_file_that_is_something_else_is_named(audit, tmp_path, content, reason):
    path = tmp_path / "x"
    if content is not None:
        path.write_bytes(content)
    status, _, error = audit("load", path)
    assert status == 1
    assert str(path) in error
    assert reason in error
