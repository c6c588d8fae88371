"""The same requests to the real OPA and to the agent, with the same bundle and configuration."""

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

from tests.support import OPA, make_bundle, needs_opa

pytestmark = needs_opa

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
"""
DATA = {"base": {"numbers": [1, 2.5, 12345678901234567890], "text": "a&b", "nil": None}}
ID = re.compile(rb'"decision_id": ?"[0-9a-f-]{36}"')
# The words of Go's JSON decoder are its own; ours name line and column.
DECODER_WORDS = re.compile(rb"malformed input document: .*")


@contextlib.contextmanager
def server(command, port, log):
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 20
        while ask(port, "GET", "/health?bundles")[0] != 200:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.01)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def ask(port, method, target, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        try:
            connection.request(method, target, body, headers or {})
        except ConnectionRefusedError:
            return 0, {}, b""
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


@pytest.fixture(scope="module")
def ports(tmp_path_factory):
    work = tmp_path_factory.mktemp("opa")
    bundle = work / "b.tar.gz"
    files = {"app.rego": POLICY, "data.json": json.dumps(DATA)}
    bundle.write_bytes(make_bundle(files, revision="r1"))
    config = work / "config.json"
    config.write_text(
        json.dumps(
            {
                "decision_logs": {"console": True},
                "default_decision": "app/allow",
                "bundles": {"main": {"resource": f"file://{bundle}"}},
                "server": {
                    "encoding": {"gzip": {"min_length": 200}},
                    "decoding": {"max_length": 5000, "gzip": {"max_length": 6000}},
                },
                "persistence_directory": str(work / "state"),
            }
        )
    )
    with socket.create_server(("127.0.0.1", 0)) as a, socket.create_server(("127.0.0.1", 0)) as b:
        opa_port, agent_port = a.getsockname()[1], b.getsockname()[1]
    opa = [OPA, "run", "--server", "--addr", f"127.0.0.1:{opa_port}", "-c", str(config)]
    agent = [*AGENT, "run", "--addr", f"127.0.0.1:{agent_port}", "-c", str(config)]
    with (
        server(opa, opa_port, work / "opa.log"),
        server(agent, agent_port, work / "agent.log"),
    ):
        yield opa_port, agent_port


def same(ports, method, target, body=None, headers=None):
    answers = []
    for port in ports:
        status, got, content = ask(port, method, target, body, headers)
        if got.get("content-encoding") == "gzip":
            content = gzip.decompress(content)
        content = DECODER_WORDS.sub(b"", ID.sub(b'"decision_id":""', content))
        names = ("content-type", "content-encoding", "vary", "location", "allow")
        answers.append((status, {name: got.get(name) for name in names}, content))
    assert answers[1] == answers[0]


V1_BODIES = [
    None,
    b"",
    b"null",
    b"{}",
    b'{"input":null}',
    b'{"input":{"user":"bob"}}',
    b'{"INPUT":{"user":"bob"}}',
    b'{"input":{"user":"bob"}} trailing',
    b'{"input":1,"input":{"user":"bob"}}',
    b'{"input":{"user":"bob"},"x":1}',
    b"[1]",
    b'"s"',
    b"1",
    b"true",
    b'{"input":',
    b"\xef\xbb\xbf{}",
    b'{"input":NaN}',
    b'{"input":"\xff"}',
    b'{"input":{"value":"\\ud800"}}',
    b'{"input":{"value":{"a<b":"\\u2028&"}}}',
    b" \n {}",
    b"x" * 5001,
    b'{"input":[[],{},0,1e2,1.0,0.5,1e400,1000000000000000000000,null,false]}',
    b'{"input":{"value":null}}',
]
PATHS = [
    "/v1/data/app/allow",
    "/v1/data/app/echo",
    "/v1/data/app/maybe",
    "/v1/data/app/tags",
    "/v1/data/app",
    "/v1/data/base",
    "/v1/data/base/numbers/1",
    "/v1/data/base/numbers/9",
    "/v1/data/base/text",
    "/v1/data/none",
    "/v1/data/app/nested/list/1/k",
    "/v1/data/app/nested/list/0",
    "/v1/data/base/nil",
    "/v1/data/app%2Fallow",
    "/v1/data/app/%61llow",
    "/v1/data/a%22b",
    "/v1/data/base/numbers/01",
]


@pytest.mark.parametrize("body", V1_BODIES, ids=lambda body: repr(body)[:40])
@pytest.mark.parametrize("path", ["/v1/data/app/allow", "/v1/data/app/echo", "/v1/data/none"])
def test_v1_bodies(ports, path, body):
    same(ports, "POST", path, body)


@pytest.mark.parametrize("body", [b for b in V1_BODIES if b], ids=lambda body: repr(body)[:40])
@pytest.mark.parametrize("path", ["/v0/data/app/allow", "/v0/data/app/echo", "/v0/data/none"])
def test_v0_bodies(ports, path, body):
    same(ports, "POST", path, body)


@pytest.mark.parametrize(
    "parameters",
    [
        "",
        "?pretty",
        "?pretty=true",
        "?pretty=1",
        "?input=%7B%22value%22:1%7D",
        "?input=null",
        "?input=",
        "?input=x{",
        "?input=1&input=2",
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_v1_gets(ports, path, parameters):
    same(ports, "GET", path + parameters)


@pytest.mark.parametrize("path", [path.replace("v1", "v0") for path in PATHS])
def test_v0_posts(ports, path):
    same(ports, "POST", path)
    same(ports, "POST", path + "?pretty", b'{"user":"bob"}')


@pytest.mark.parametrize(
    ("method", "target"),
    [
        *[
            (method, path)
            for method in ("HEAD", "OPTIONS", "PUT", "PATCH", "DELETE")
            for path in ("/v1/data", "/v1/data/app/x", "/v0/data/app", "/nope")
            if (method, path) not in (("PATCH", "/v1/data/app/x"), ("PATCH", "/v1/data"))
        ],
        ("GET", "/v0/data/app"),
        ("GET", "/v1/data/app/allow/"),
        ("GET", "/v1/data/app/allow/?pretty"),
        ("GET", "/v1//data/app/allow?pretty"),
        ("GET", "/v1/data/x/../app/allow"),
        ("POST", "/v1/data/app/"),
        ("GET", "/nope"),
        ("GET", "/v1/datax"),
        ("POST", "/"),
        ("POST", "/health"),
        ("GET", "/health?bundles&plugins"),
        ("GET", "/health"),
        ("PUT", "/health"),
        ("POST", "/v1/status"),
        ("GET", "/v1/status"),
    ],
)
def test_methods_and_routes(ports, method, target):
    same(ports, method, target, {"PUT": b"{}", "PATCH": b"[]"}.get(method))


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (gzip.compress(b'{"input":{"user":"bob"}}'), {"Content-Encoding": "gzip"}),
        (gzip.compress(b" " * 6001), {"Content-Encoding": "gzip"}),
        (gzip.compress(b'{"input":{"user":"bob"}}')[:-9], {"Content-Encoding": "gzip"}),
        (b'{"input":{"user":"bob"}}', {"Content-Encoding": "deflate"}),
        (b"input: {user: bob}", {"Content-Type": "application/x-yaml"}),
        (b'{"input":{"user":"bob"}}', {"Content-Type": "application/x-www-form-urlencoded"}),
        (json.dumps({"input": {"value": "x" * 500}}), {"Accept-Encoding": "gzip"}),
        (json.dumps({"input": {"value": "x" * 500}}), {"Accept-Encoding": "gzip;q=0"}),
        (json.dumps({"input": {"value": "x" * 500}}), {"Accept-Encoding": "identity, gzip;q=0.3"}),
    ],
    ids=[
        "gzip",
        "bomb",
        "cut",
        "deflate",
        "yaml",
        "form",
        "accepts",
        "refuses",
        "weights",
    ],
)
@pytest.mark.parametrize("path", ["/v1/data/app/echo", "/v1/data/app/allow"])
def test_encodings(ports, path, body, headers):
    same(ports, "POST", path, body, headers)


def test_conflicts(ports):
    answers = [
        json.loads(ask(port, "POST", "/v1/data/app/fails", b'{"input":{"fail":true}}')[2])
        for port in ports
    ]
    for answer in answers:
        assert answer["code"] == "internal_error"
        assert answer["message"] == "error(s) occurred while evaluating query"
        assert answer["errors"][0]["code"] == "eval_conflict_error"
