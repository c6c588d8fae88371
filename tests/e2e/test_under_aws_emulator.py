"""The layer under AWS's own emulator, as a function on demand and on Managed Instances."""

import concurrent.futures
import json
import sys
from pathlib import Path

import pytest

from tests.rie import emulator
from tests.support import make_bundle, wait_until

pytestmark = pytest.mark.e2e

FUNCTION = Path(__file__).parent / "function"
SYSTEM_PYTHON = Path("/usr/bin/python3")
ALLOW_ALL = {"app.rego": "package app\n\nallow if input.user\n"}
DENY_ALL = {"app.rego": "package app\n\nallow := false\n"}
ASK = {"paths": ["app/allow"], "input": {"user": "u"}}
# The emulator queues nothing: a call that finds no idle worker is refused.
WORKERS, CALLERS = 8, 3
# A runtime of several workers; AWS's own Python is not at hand for another user than root.
BOOTSTRAP = f"""\
#!{SYSTEM_PYTHON}
import http.client, json, os, sys, threading
sys.path[:0] = ["/opt/python", "/var/task"]
import handler
API, PREFIX = os.environ["AWS_LAMBDA_RUNTIME_API"], "/2018-06-01/runtime/invocation/"

def work():
    while True:
        connection = http.client.HTTPConnection(API)
        connection.request("GET", PREFIX + "next")
        answer = connection.getresponse()
        event = json.loads(answer.read())
        result = json.dumps(handler.handle(event, None))
        path = PREFIX + answer.getheader("Lambda-Runtime-Aws-Request-Id") + "/response"
        connection = http.client.HTTPConnection(API)
        connection.request("POST", path, result)
        connection.getresponse().read()

for _ in range(int(os.environ["AWS_LAMBDA_MAX_CONCURRENCY"])):
    threading.Thread(target=work).start()
"""


def configuration(plane, state, port):
    document = {
        "services": {"plane": {"url": plane.url}},
        "bundles": {"main": {"polling": {"min_delay_seconds": 0.1, "max_delay_seconds": 0.1}}},
        "decision_logs": {"service": "plane"},
        "persistence_directory": state,
    }
    return {
        "POLICY_AGENT_CONFIG": json.dumps(document),
        "POLICY_AGENT_ADDR": f"127.0.0.1:{port}",
        "AWS_LAMBDA_FUNCTION_NAME": "function",
    }


def test_on_demand_without_telemetry(layer, plane, tmp_path, unused_port):
    plane.bundles["main"] = make_bundle(ALLOW_ALL, revision="r1")
    environment = {
        "PYTHONPATH": f"{FUNCTION}:{layer / 'python'}",
        **configuration(plane, str(tmp_path / "state"), unused_port),
    }
    command = [sys.executable, "-m", "awslambdaric", "handler.handle"]
    with emulator(
        layer, tmp_path, command=command, cwd=FUNCTION, environment=environment
    ) as lambda_:
        [first] = lambda_.invoke(ASK)
        [second] = lambda_.invoke(ASK)
        assert first["allow"]
        assert second["allow"]
        # Nothing tells when a function has answered: each invocation ships what the last one left.
        assert first["id"] in plane.ids
        lambda_.spin_down()
    assert plane.ids == [first["id"], second["id"]]
    assert len(plane.closings) == 1


def test_managed_instances(layer, plane, tmp_path, unused_port):
    if not SYSTEM_PYTHON.exists():
        pytest.skip(f"needs {SYSTEM_PYTHON}")
    plane.bundles["main"] = make_bundle(ALLOW_ALL, revision="r1")
    runtime, state = tmp_path / "runtime", tmp_path / "state"
    for folder in (runtime, state):
        folder.mkdir()
        # The emulator runs everything as a user of its own.
        folder.chmod(0o777)
    layer.chmod(0o755)
    bootstrap = runtime / "bootstrap"
    bootstrap.write_text(BOOTSTRAP)
    bootstrap.chmod(0o755)
    environment = {
        "PATH": "/usr/bin:/bin",
        "AWS_LAMBDA_MAX_CONCURRENCY": str(WORKERS),
        "AWS_LAMBDA_FUNCTION_HANDLER": "handler.handle",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "lambda-managed-instances",
        **configuration(plane, "/var/state", unused_port),
    }
    mounts = {"/var/runtime": runtime, "/var/task": FUNCTION, "/var/state": state}
    with emulator(
        layer, tmp_path, mounts=mounts, command=[], cwd=tmp_path, environment=environment
    ) as lambda_:
        with concurrent.futures.ThreadPoolExecutor(CALLERS) as pool:
            answers = [answer for [answer] in pool.map(lambda_.invoke, [ASK] * 20)]
        assert all(answer["allow"] for answer in answers), answers
        # No event says that a bundle may be due: a clock does.
        plane.bundles["main"] = make_bundle(DENY_ALL, revision="r2")
        wait_until(lambda: not lambda_.invoke(ASK)[0]["allow"])
        # Nor is there one to ship by.
        wait_until(lambda: len(plane.ids) >= len(answers))
        lambda_.spin_down()
    assert {answer["id"] for answer in answers} <= set(plane.ids)
    assert len(plane.ids) == len(set(plane.ids))
    assert len(plane.closings) == 1
