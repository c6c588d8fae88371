"""The agent as a sidecar: real processes, real signals."""

import contextlib
import json
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from tests.support import control_plane, make_bundle, wait_until

AGENT = [sys.executable, "-c", "from policy_agent.cli import main; raise SystemExit(main())", "run"]
ALLOW = {"app.rego": "package app\n\nallow if input.user\n"}


@contextlib.contextmanager
def agent(port, *flags, config=None, tmp_path):
    environment = {"POLICY_AGENT_CONFIG": json.dumps(config or {}), "PATH": ""}
    process = subprocess.Popen(
        [*AGENT, "--addr", f"127.0.0.1:{port}", *flags],
        env=environment,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            wait_until(lambda: answers(client))
            yield client, process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(20)
        process.stderr.close()


def answers(client):
    with contextlib.suppress(httpx.TransportError):
        return client.get("/health").status_code in (200, 500)
    return False


def test_a_bundle_directory_is_served_and_sigterm_ends_it(unused_port, tmp_path):
    (tmp_path / "app.rego").write_text(ALLOW["app.rego"])
    config = {"persistence_directory": str(tmp_path / "state")}
    with agent(unused_port, "-b", ".", config=config, tmp_path=tmp_path) as (client, process):
        wait_until(lambda: client.get("/health?bundles").status_code == 200)
        answer = client.post("/v1/data/app/allow", json={"input": {"user": "u"}})
        assert answer.json() == {"result": True}
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


V0 = "package app\n\nallow { input.user }\n"


@pytest.mark.parametrize(
    ("flags", "manifest"),
    [
        pytest.param(["--v0-compatible"], "{}", id="by the flag"),
        pytest.param([], '{"rego_version": 0}', id="by the manifest"),
    ],
)
def test_rego_v0_is_served(flags, manifest, unused_port, tmp_path):
    (tmp_path / "app.rego").write_text(V0)
    (tmp_path / ".manifest").write_text(manifest)
    config = {"persistence_directory": str(tmp_path / "state")}
    with agent(unused_port, "-b", ".", *flags, config=config, tmp_path=tmp_path) as (client, _):
        wait_until(lambda: client.get("/health?bundles").status_code == 200)
        answer = client.post("/v1/data/app/allow", json={"input": {"user": "u"}})
        assert answer.json() == {"result": True}
        (shown,) = client.get("/v1/policies").json()["result"]
        assert shown["raw"] == V0


def test_polling_shipping_and_status_are_driven_by_a_clock(unused_port, tmp_path):
    with control_plane() as plane:
        plane.bundles["main"] = make_bundle(ALLOW, revision="r1")
        delays = {"min_delay_seconds": 0.05, "max_delay_seconds": 0.1}
        config = {
            "services": {"plane": {"url": plane.url}},
            "bundles": {"main": {"polling": delays}},
            "decision_logs": {"reporting": delays},
            "status": {},
            "persistence_directory": str(tmp_path / "state"),
        }
        with agent(unused_port, config=config, tmp_path=tmp_path) as (client, process):
            wait_until(lambda: client.get("/health?bundles&plugins").status_code == 200)
            first = client.post("/v1/data/app/allow", json={"input": {"user": "u"}}).json()
            wait_until(lambda: plane.ids == [first["decision_id"]])
            plane.bundles["main"] = make_bundle(
                {"app.rego": "package app\n\nallow := false\n"}, revision="r2"
            )
            wait_until(
                lambda: (
                    client.get("/v1/status").json()["result"]["bundles"]["main"]["active_revision"]
                    == "r2"
                )
            )
            second = client.post("/v1/data/app/allow", json={"input": {"user": "u"}}).json()
            assert (first["result"], second["result"]) == (True, False)
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        assert sorted(plane.ids) == sorted([first["decision_id"], second["decision_id"]])
        assert [closing["last_seq"] for closing in plane.closings] == [2]
        reported = [report["bundles"]["main"].get("active_revision") for report in plane.statuses]
        assert reported[-1] == "r2"
        assert len(reported) < 10


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"services": 1}, "configuration: services: must be an object"),
        ({"bundles": {"b": {"resource": "file:///nope"}}}, "bundle b: "),
        ({}, "no bundles are configured"),
    ],
)
def test_without_a_policy_it_serves_and_says_why(unused_port, tmp_path, config, reason):
    with agent(unused_port, config=config, tmp_path=tmp_path) as (client, _):
        wait_until(lambda: reason in client.get("/v1/data/app").json()["warning"]["message"])
        assert "result" not in client.get("/v1/data/app").json()


def test_a_port_in_use_ends_it_with_a_sentence(unused_port, tmp_path):
    with socket.create_server(("127.0.0.1", unused_port)):
        result = subprocess.run(
            [*AGENT, "--addr", f"127.0.0.1:{unused_port}"],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
    assert result.returncode == 1
    assert f"--addr: cannot listen on 127.0.0.1:{unused_port}" in result.stderr
