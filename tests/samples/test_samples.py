"""The sample functions with a real agent, configured as the samples are."""

import json
import shutil
import subprocess
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

from policy_agent.client import connection, port_token
from policy_agent.config.source import read_document
from tests.decision.running import running_agent
from tests.samples.events import EVENTS, STATUSES
from tests.support import control_plane

SAMPLES = Path(__file__).parents[2] / "samples"
BUNDLE = SAMPLES.parent / "bundles" / "orders" / "orders"
NODE = shutil.which("node") or ""
RUN_NODE = """
import { handle } from %s;
import { readFileSync } from "node:fs";
const { events } = JSON.parse(readFileSync(0));
console.info = console.warn = console.error = () => {};
const answers = {};
for (const [name, event] of Object.entries(events)) {
  answers[name] = await handle(event);
}
process.stdout.write(JSON.stringify(answers), () => process.exit());
"""


def run_python(events, environment):
    loader = SourceFileLoader("handler", str(SAMPLES / "python-orders" / "handler.py"))
    handler = ModuleType("handler")
    loader.exec_module(handler)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        port_token.forget()
        try:
            return {name: handler.handle(event, None) for name, event in events.items()}
        finally:
            connection.close()
            port_token.forget()


def run_node(events, environment):
    script = RUN_NODE % json.dumps(str(SAMPLES / "node-orders" / "handler.mjs"))
    command = [NODE, "--input-type=module", "--eval", script]
    question = json.dumps({"events": events}).encode()
    done = subprocess.run(command, input=question, capture_output=True, env=environment, timeout=30)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


SAMPLE_FUNCTIONS = [
    pytest.param("python-orders", run_python, id="python"),
    pytest.param(
        "node-orders", run_node, id="node",
        marks=pytest.mark.skipif(not NODE, reason="no node on the PATH"),
    ),
]  # fmt: skip


@pytest.fixture
def plane():
    with control_plane() as plane:
        yield plane


def agent_of(sample, plane, tmp_path):
    """An agent with the sample's configuration and the sample bundle."""
    document = read_document(
        {"POLICY_SERVER": plane.url}, str(SAMPLES / sample / "policy-agent.yaml")
    )
    del document["services"], document["bundles"], document["decision_logs"]
    data = json.dumps({"orders": json.loads((BUNDLE / "data.json").read_text())})
    rego = (BUNDLE / "authz.rego").read_text()
    return running_agent(plane, tmp_path, rego, files={"data.json": data}, **document)


@pytest.mark.parametrize(("sample", "run"), SAMPLE_FUNCTIONS)
def test_a_sample_function_does_what_the_policy_says(sample, run, plane, tmp_path):
    with agent_of(sample, plane, tmp_path) as agent:
        environment = {
            "POLICY_AGENT_ADDR": agent.url.removeprefix("http://"),
            "POLICY_AGENT_TOKEN_PATH": str(tmp_path / "port-token"),
        }
        answers = run(EVENTS, environment)
        agent.call(agent.agent.flush(5))
    assert {name: answer["statusCode"] for name, answer in answers.items()} == STATUSES
    bodies = {name: json.loads(answer["body"]) for name, answer in answers.items()}
    assert bodies["own"]["payment"]["card"] == "4111111111111111"
    assert bodies["masked"]["payment"]["card"] == bodies["masked"]["customer"]["email"] == "***"
    assert bodies["refund"] == {"id": "o-1", "refunded": 120}
    assert bodies["step up"]["step_up"] == ["mfa"]
    assert bodies["denied"]["reasons"]
    reports = [e["custom"]["fulfilment"] for e in plane.decisions if "fulfilment" in e["custom"]]
    decided = [event["decision_id"] for event in plane.decisions if "path" in event]
    assert len(decided) == 6
    assert {report["decision_id"] for report in reports} <= set(decided)
    done = [o["type"] for report in reports for o in report["obligations"]]
    assert done == ["mask_fields", "audit", "audit"]


@pytest.mark.parametrize(("sample", "run"), SAMPLE_FUNCTIONS)
def test_a_sample_function_without_an_agent_or_its_secret_does_nothing(
    sample, run, plane, tmp_path
):
    events = {"own": EVENTS["own"]}
    answers = run(events, {"POLICY_AGENT_ADDR": "127.0.0.1:1"})
    assert answers["own"]["statusCode"] == 503
    with agent_of(sample, plane, tmp_path) as agent:
        environment = {
            "POLICY_AGENT_ADDR": agent.url.removeprefix("http://"),
            "POLICY_AGENT_TOKEN_PATH": str(tmp_path / "nothing-here"),
        }
        assert run(events, environment)["own"]["statusCode"] == 503


@pytest.mark.skipif(not NODE, reason="no node on the PATH")
def test_the_node_client_replaces_a_connection_that_died_meanwhile(tmp_path):
    # Also without an agent: what is tested is what arrives.
    script = """
import net from "node:net";
import { decide } from %s;
let count = 0;
const server = net.createServer((socket) => {
  socket.on("error", () => {});
  socket.on("data", () => {
    count += 1;
    if (count === 2) { socket.destroy(); return; }
    const body = JSON.stringify({ result: true });
    socket.write(`HTTP/1.1 200 OK\\r\\nContent-Length: ${body.length}\\r\\n\\r\\n${body}`);
  });
});
server.listen(0, "127.0.0.1", async () => {
  process.env.POLICY_AGENT_ADDR = `127.0.0.1:${server.address().port}`;
  const answers = [(await decide("a", {})).allow];
  await new Promise((resolve) => setImmediate(resolve));
  answers.push((await decide("a", {})).allow);
  process.stdout.write(JSON.stringify({ answers, count }), () => process.exit());
});
"""
    script %= json.dumps(str(SAMPLES / "node-orders" / "policy-agent.mjs"))
    command = [NODE, "--input-type=module", "--eval", script]
    done = subprocess.run(command, capture_output=True, timeout=30, check=True)
    assert json.loads(done.stdout) == {"answers": [True, True], "count": 3}
