"""From an agent's decision log through the real receiver to `audit verify`."""

import asyncio
import contextlib
import json
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from policy_agent.cli import main
from policy_agent.config import DecisionLogs, Service
from policy_agent.decision_log.log import DecisionLog
from policy_agent.model import UNDEFINED, Decision
from tests.auditor.audit_process import serving

ROOT = Path(__file__).parents[2]
KEY = "a secret of the platform team"
LABELS = {"id": "1", "function": "orders"}


class NoRules:
    """A policy that masks and drops nothing."""

    rules: frozenset[str] = frozenset()

    def evaluate(self, path, input=UNDEFINED):
        return UNDEFINED

    def close(self):
        pass


def decision(number, *, filler=""):
    fields = {"n": number, "f": 0.1, "text": f"<{filler}\u2028ü>"}
    at_ns = 1_795_239_598_000_000_000 + number
    return Decision(f"d-{number}", "orders/allow", fields, True, None, {"b": "r1"}, at_ns, {})


@pytest.fixture
def open_log(tmp_path):
    with contextlib.ExitStack() as stack:

        def begin(url, **settings):
            config = DecisionLogs(service=Service("r", url), audit_key=KEY, **settings)
            decision_log = DecisionLog(config, LABELS, tmp_path / "agent")
            stack.callback(decision_log.close)
            return decision_log

        yield begin


@pytest.fixture
def verify(tmp_path, capsys):
    (tmp_path / "key").write_text(KEY + "\n")

    def verify():
        key = ["--audit-key-file", str(tmp_path / "key"), "--format", "json"]
        status = main(["audit", "verify", "--dir", str(tmp_path / "store"), *key])
        body = json.loads(capsys.readouterr().out)
        return status, body["findings"], body["summary"]

    return verify


def test_a_closed_stream_is_whole_however_it_was_delivered(open_log, verify, tmp_path):
    """Batches twice, an event too large for the upload limit, a closing record."""
    with serving(tmp_path / "store") as server:
        decision_log = open_log(str(server.client.base_url), upload_size_limit_bytes=4096)
        policy = NoRules()
        for number in range(1, 31):
            filler = random.Random(1).randbytes(6000).hex() if number == 7 else ""
            decision_log.record(decision(number, filler=filler), policy)
        assert decision_log.status.counters["recorded"] == 30
        (segment,) = (tmp_path / "agent" / "decision-logs").iterdir()
        saved = segment.read_bytes()
        decision_log.close_stream()
        assert asyncio.run(decision_log.flush(20, force=True)).left == 0
        segment.write_bytes(saved)  # as if its offset had been lost with a reset
        assert asyncio.run(decision_log.flush(20, force=True)).left == 0
        stats = server.settled()
        assert (stats["stored"], stats["closings"], stats["duplicates"]) == (30, 1, 30)
    status, findings, summary = verify()
    assert (status, findings) == (0, [])
    assert (summary["events"], summary["closed"], summary["replaced"]) == (31, 1, 1)


CHILD = """
import os, sys
from pathlib import Path
from policy_agent.decision_log.log import DecisionLog
from policy_agent.config import DecisionLogs, Service
from tests.auditor.test_audit_proof import KEY, LABELS, decision

config = DecisionLogs(service=Service("r", sys.argv[1]), audit_key=KEY)
decision_log = DecisionLog(config, LABELS, Path(sys.argv[2]))
for number in range(1_000_000):
    decision_log.record(decision(number), None)
    os.write(1, b"%d\\n" % number)
"""


def test_a_killed_agent_leaves_an_open_stream_and_no_finding(open_log, verify, tmp_path):
    with serving(tmp_path / "store") as server:
        url = str(server.client.base_url)
        command = [sys.executable, "-c", CHILD, url, str(tmp_path / "agent")]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(500)]
            process.send_signal(signal.SIGKILL)
            lines += process.stdout.readlines()
        answered = sum(line.endswith("\n") for line in lines)
        successor = open_log(url)
        successor.record(decision(2_000_000), None)
        successor.close_stream()
        assert asyncio.run(successor.flush(20, force=True)).left == 0
        server.settled()
    status, findings, summary = verify()
    assert (status, findings) == (0, [])
    assert (summary["open"], summary["closed"]) == (1, 1)
    assert summary["events"] - 2 - answered in (0, 1)
