"""The real OPA and the agent side by side, with the same bundle and configuration."""

import contextlib
import gzip
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.support import OPA, make_bundle

AGENT = [sys.executable, "-c", "from policy_agent.cli import main; raise SystemExit(main())"]
POLICY = """package app

default allow := false

allow if input.user == "bob"

echo := input

tags contains tag if some tag in ["b", "a<c", "ü"]

fails := 1 if input.fail

fails := 2 if input.fail

maybe if input.never

nested := {"list": [10, {"k": null}], "1": "one"}

noted if {
	some word in ["a", "b"]
	trace(sprintf("at %s", [word]))
	word == input.word
}

quotient := 1 / input.zero

members contains [x, y] if {
	some x in [2, 1]
	some y in {"b": 1}
}

index[1] := "number"

index["k"] := "text"
"""
HEALTH = """package system.health

live if input.plugin_state.bundle == "OK"

ready := input.plugins_ready

odd := "value"

states := input
"""
OTHER = """# METADATA
# scope: subpackages
# labels:
#   team: policy
#   level: low
package other

import data.app

word := app.nested["1"]

# METADATA
# labels:
#   level: high
both if {
	one
	two
}

# METADATA
# labels:
#   level: high
one if input.one

# METADATA
# labels:
#   kind: [1, "two"]
two if input.two

# METADATA
# scope: document
# labels:
#   kind: document
default maybe := false

maybe if input.one
"""
DATA = {"base": {"numbers": [1, 2.5, 12345678901234567890], "text": "a&b", "nil": None}}
ID = re.compile(rb'"decision_id": ?"[0-9a-f-]{36}"')
# The words of Go's JSON decoder are its own; ours name line and column.
DECODER_WORDS = re.compile(rb"(malformed input document|while decoding request): .*")
OWN_LABELS = re.compile(rb'"(id|version)": ?"[0-9a-f.-]+"')


@contextlib.contextmanager
def server(command, port, log, tls):
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 20
        while ask(port, "GET", "/health?bundles", tls=tls)[0] != 200:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.01)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def ask(port, method, target, body=None, headers=None, tls=None):
    if tls is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    else:
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=tls)
    with contextlib.closing(connection):
        try:
            connection.request(method, target, body, headers or {})
        except ConnectionRefusedError:
            return 0, {}, b""
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


@contextlib.contextmanager
def side_by_side(work, files, config, *flags, tls=None):
    """Run both with a bundle of `files`; yields the ports of OPA and of the agent."""
    bundle = work / "b.tar.gz"
    bundle.write_bytes(make_bundle(files, revision="r1"))
    whole = {
        "bundles": {"main": {"resource": f"file://{bundle}"}},
        "persistence_directory": str(work / "state"),
        **config,
    }
    file = work / "config.json"
    file.write_text(json.dumps(whole))
    with socket.create_server(("127.0.0.1", 0)) as a, socket.create_server(("127.0.0.1", 0)) as b:
        ports = a.getsockname()[1], b.getsockname()[1]
    with contextlib.ExitStack() as stack:
        for name, program, port in (("opa", [OPA], ports[0]), ("agent", AGENT, ports[1])):
            command = [*program, "run", "--server", "--addr", f"127.0.0.1:{port}"]
            command += ["-c", str(file), *flags]
            stack.enter_context(server(command, port, work / f"{name}.log", tls))
        yield ports


@pytest.fixture(scope="session")
def ports(tmp_path_factory):
    files = {
        "app.rego": POLICY,
        "system/health.rego": HEALTH,
        "other/other.rego": OTHER,
        "data.json": json.dumps(DATA),
    }
    config = {
        "decision_logs": {"console": True},
        "status": {"console": True, "prometheus": True},
        "labels": {"region": "eu"},
        "services": {
            "central": {
                "url": "http://127.0.0.1:1",
                "credentials": {"bearer": {"token": "secret"}},
            }
        },
        "default_decision": "app/allow",
        "server": {
            "encoding": {"gzip": {"min_length": 200}},
            "decoding": {"max_length": 5000, "gzip": {"max_length": 6000}},
        },
    }
    with side_by_side(tmp_path_factory.mktemp("opa"), files, config) as both:
        yield both


def same(ports, method, target, body=None, headers=None, tls=None):
    answers = []
    for port in ports:
        status, got, content = ask(port, method, target, body, headers, tls)
        if got.get("content-encoding") == "gzip":
            content = gzip.decompress(content)
        for words in (ID, DECODER_WORDS, OWN_LABELS):
            content = words.sub(b"", content)
        names = ("content-type", "content-encoding", "vary", "location", "allow")
        answers.append((status, {name: got.get(name) for name in names}, content))
    assert answers[1] == answers[0], answers
    return answers[1]
