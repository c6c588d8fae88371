import contextlib
import json
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from policy_agent.auditor.filters import Filters
from policy_agent.auditor.spool import Spool
from policy_agent.auditor.store import AuditStore
from policy_agent.cli import main
from tests.auditor.audit_process import DEADLINE_SECONDS, MAIN, event, serving, start
from tests.support import OPA, needs_opa


def test_kill_9_neither_loses_nor_doubles_what_was_acknowledged(tmp_path):
    """Killed twice while bodies arrive and are ingested; senders repeat what they are unsure of."""
    bodies = [[event(f"d-{i}-{j}") for j in range(20)] for i in range(24)]
    for acknowledged in (8, 16):
        with serving(tmp_path) as server, ThreadPoolExecutor(4) as senders:
            batch = bodies[acknowledged - 8 : acknowledged]
            answers = list(senders.map(lambda events: server.post(*events, "bad"), batch))
            assert {answer.status_code for answer in answers} == {200}
            server.kill()
    with serving(tmp_path) as server:
        found = server.settled()
        server.post(*bodies[7], *bodies[15])
        for events in bodies[16:]:
            server.post(*events)
        assert server.settled() == {
            "received": found["received"] + 200,
            "stored": found["stored"] + 160,
            "duplicates": 40,
            "quarantined": found["quarantined"],
            "closings": 0,
            "pending": 0,
        }
    with AuditStore(tmp_path) as store:
        assert store.count() == 480
        stored = {row.decision_id for row in store.query(limit=1000)}
    assert stored == {decision["decision_id"] for events in bodies for decision in events}
    lines = [path.read_text() for path in (tmp_path / "quarantine").iterdir()]
    assert [json.loads(line)["entry"] for line in lines] == ['"bad"'] * 16


def test_sigterm_ingests_what_is_pending_and_a_query_may_run_beside(tmp_path):
    with serving(tmp_path) as server:
        server.post(event("d-0"))
        server.settled()
        with AuditStore(tmp_path) as store:
            assert store.count(Filters(decision_id="d-0")) == 1
        for i in range(1, 5):
            assert server.post(event(f"d-{i}")).status_code == 200
        assert server.terminate() == 0
    with AuditStore(tmp_path) as store:
        assert store.count() == 5
    assert [path.name for path in (tmp_path / "spool").iterdir()] == ["lock"]


def test_a_second_server_on_the_directory_is_refused(tmp_path, capsys):
    with contextlib.closing(Spool(tmp_path / "spool")):
        assert main(["audit", "serve", "--dir", str(tmp_path), "--addr", "127.0.0.1:0"]) == 1
    assert "another `policy-agent audit serve`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        pytest.param(["--addr", "8282"], "not HOST:PORT", id="no host"),
        pytest.param(["--addr", "127.0.0.1:99999"], "not HOST:PORT", id="port"),
        pytest.param(["--addr", "127.0.0.1:0x50"], "not HOST:PORT", id="no number"),
        pytest.param(["--token-file", "none"], "cannot read --token-file", id="no token"),
        pytest.param(["--token-file", "empty"], "is empty", id="empty token"),
    ],
)
def test_a_wrong_argument_is_one_sentence(tmp_path, capsys, monkeypatch, arguments, reason):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").write_text("\n")
    assert main(["audit", "serve", "--dir", "store", *arguments]) == 1
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "store").exists()


def test_an_address_in_use_is_one_sentence(tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert main(["audit", "serve", "--dir", str(tmp_path), "--addr", address]) == 1
    assert f"cannot listen on {address}: Address already in use" in capsys.readouterr().err


def test_a_disk_that_refuses_is_a_500_and_the_sender_keeps_its_events(tmp_path):
    with serving(tmp_path / "store") as server:
        (tmp_path / "store" / "spool").rename(tmp_path / "gone")
        answer = server.post(event("d-1"))
        assert answer.status_code == 500
        assert answer.json()["code"] == "internal_error"
        (tmp_path / "gone").rename(tmp_path / "store" / "spool")
        assert server.post(event("d-1")).status_code == 200
        assert server.settled()["stored"] == 1


def test_events_that_cannot_be_ingested_at_the_end_are_told(tmp_path):
    with start(tmp_path) as process:
        assert process.stderr is not None
        try:
            url = process.stderr.readline().split()[-1]
            (tmp_path / "quarantine").rmdir()
            httpx.post(f"{url}/logs", json=[5]).raise_for_status()
            process.terminate()
            assert process.wait(DEADLINE_SECONDS) == 1
            assert "1 events are still in the spool" in process.stderr.read()
        finally:
            process.kill()


@pytest.mark.parametrize("command", ["serve", "query"])
def test_without_the_extra_the_command_says_what_to_install(tmp_path, command):
    hidden = f"import sys; sys.modules['duckdb'] = None; {MAIN}"
    result = subprocess.run(
        [sys.executable, "-c", hidden, "audit", command, "--dir", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "not installed: duckdb; run pip install 'policy-agent[audit]'" in result.stderr


@pytest.mark.parametrize("command", ["serve", "query"])
def test_help_does_not_load_the_store(command):
    script = (
        "import atexit, sys; "
        "atexit.register(lambda: print('loaded', {'duckdb', 'pyarrow'} & set(sys.modules))); "
    )
    result = subprocess.run(
        [sys.executable, "-c", script + MAIN, "audit", command, "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.startswith(f"usage: policy-agent audit {command}")
    assert result.stdout.endswith("loaded set()\n")


@contextlib.contextmanager
def opa_logging_to(url, directory):
    """Run the real OPA with a small policy and decision logs that go to `url`."""
    (directory / "policy.rego").write_text(
        "package orders.authz\n\ndefault allow := false\n\nallow if input.user == data.admin\n"
    )
    (directory / "data.json").write_text('{"admin": "alice"}')
    config = {
        "labels": {"app": "orders-fn"},
        "services": {"audit": {"url": url}},
        "decision_logs": {
            "service": "audit",
            "reporting": {"min_delay_seconds": 1, "max_delay_seconds": 1},
        },
    }
    (directory / "config.json").write_text(json.dumps(config))
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [str(OPA), "run", "-s", "-c", "config.json", "-a", address, "--disable-telemetry"]
    with (
        subprocess.Popen(
            [*command, "policy.rego", "data.json"], cwd=directory, stderr=subprocess.DEVNULL
        ) as process,
        httpx.Client(base_url=f"http://{address}/v1/data/") as client,
    ):
        try:
            deadline = time.monotonic() + DEADLINE_SECONDS
            while True:
                with contextlib.suppress(httpx.TransportError):
                    client.get("http://" + address + "/health").raise_for_status()
                    break
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield client
        finally:
            process.terminate()  # OPA ships what it has before it ends


@pytest.mark.opa
@needs_opa[1]
def test_the_real_opa_ships_its_decisions_here(tmp_path):
    with serving(tmp_path / "store") as server:
        with opa_logging_to(str(server.client.base_url).rstrip("/"), tmp_path) as opa:
            for user in ("alice", "bob", "alice"):
                opa.post("orders/authz/allow", json={"input": {"user": user}}).raise_for_status()
            opa.post("orders/authz/missing", json={"input": {"user": "carol"}}).raise_for_status()
        assert server.settled()["stored"] == 4
    with AuditStore(tmp_path / "store") as store:
        rows = store.query(Filters(function="orders-fn"))
    assert [(row.subject, row.path, row.result.value) for row in reversed(rows)] == [
        ("alice", "orders/authz/allow", "allow"),
        ("bob", "orders/authz/allow", "deny"),
        ("alice", "orders/authz/allow", "allow"),
        ("carol", "orders/authz/missing", "undefined"),
    ]
    assert json.loads(rows[0].event)["input"] == {"user": "carol"}
