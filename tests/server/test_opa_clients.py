"""OPA's clients work with the agent as they are: for Python, for JavaScript, and curl."""

import json
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from opa_client.errors import DeletePolicyError
from opa_client.opa import OpaClient

from tests.server.beside_opa import AGENT, server
from tests.support import make_bundle

HERE = Path(__file__).parent / "opa_clients"
POLICY = """package app

default allow := false

allow if input.user == "bob"

limits := {"day": 10}

fails := 1 if input.fail

fails := 2 if input.fail
"""


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    work = tmp_path_factory.mktemp("clients")
    (work / "b.tar.gz").write_bytes(make_bundle({"app.rego": POLICY}, revision="r1"))
    config = {
        "bundles": {"main": {"resource": f"file://{work}/b.tar.gz"}},
        "decision_logs": {"console": True},
        "status": {"console": True},
        "default_decision": "app/allow",
        "persistence_directory": str(work / "state"),
    }
    (work / "config.json").write_text(json.dumps(config))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [*AGENT, "run", "--addr", f"127.0.0.1:{port}", "-c", str(work / "config.json")]
    with server(command, port, work / "agent.log", None):
        yield port


def test_opa_python_client(port):
    client = OpaClient("127.0.0.1", port)
    assert client.check_connection()
    assert client.check_health({"bundles": True})
    assert client.query_rule({"user": "bob"}, "app", "allow")["result"] is True
    assert client.query_rule({"user": "eve"}, "app", "allow")["result"] is False
    assert client.query_rule({}, "app", "limits")["result"] == {"day": 10}
    assert client.bulk_query_rule([{"user": "bob"}, {"user": "eve"}], "app", "allow") == [
        True,
        False,
    ]
    assert client.ad_hoc_query("data.app.limits[name] = value")["result"] == [
        {"name": "day", "value": 10}
    ]
    assert client.get_policies_list() == ["main/app.rego"]
    assert client.get_policy("main/app.rego")["result"]["raw"] == POLICY
    assert client.get_data("app/limits")["result"] == {"day": 10}
    assert client.get_config()["result"]["default_decision"] == "app/allow"
    assert "bundle" in client.get_status()["result"]["plugins"]
    assert "http_request_duration_seconds" in client.get_metrics()
    with pytest.raises(DeletePolicyError):
        client.delete_policy("main/app.rego")
    client.close_connection()


@pytest.fixture(scope="module")
def node_modules(request):
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no node or npm")
    folder = request.config.cache.mkdir("opa-npm-client")
    for file in HERE.iterdir():
        shutil.copy(file, folder)
    if not (folder / "node_modules" / "@open-policy-agent").exists():
        flags = ["--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]
        done = subprocess.run(
            ["npm", "install", *flags], cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip("npm cannot install @open-policy-agent/opa here")
    return folder


def test_open_policy_agent_opa_for_javascript(port, node_modules):
    done = subprocess.run(
        ["node", "ask.mjs", f"http://127.0.0.1:{port}"],
        cwd=node_modules,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "allowed": True,
        "denied": False,
        "document": {"day": 10},
        "byDefault": True,
        "batch": {"a": True, "b": False},
        "error": "ServerError",
    }


def test_curl(port):
    if shutil.which("curl") is None:
        pytest.skip("no curl")
    url = f"http://127.0.0.1:{port}"

    def curl(*arguments):
        command = ["curl", "-sS", "--fail-with-body", *arguments]
        return subprocess.run(command, capture_output=True, check=True).stdout

    asked = curl(f"{url}/v1/data/app/allow", "-d", '{"input": {"user": "bob"}}')
    assert json.loads(asked)["result"] is True
    assert json.loads(curl("-G", f"{url}/v1/data/app/allow", "--data-urlencode",
                           'input={"user": "bob"}'))["result"] is True  # fmt: skip
    assert json.loads(curl("--compressed", f"{url}/v1/policies"))["result"]
    # curl waits for 100 Continue before it sends so much.
    large = json.dumps({"input": {"user": "bob", "padding": "x" * (2 << 20)}})
    answer = subprocess.run(
        ["curl", "-sS", f"{url}/v1/data/app/allow", "-d", "@-"],
        input=large.encode(), capture_output=True, check=True,
    )  # fmt: skip
    assert json.loads(answer.stdout)["result"] is True
