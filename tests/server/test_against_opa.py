"""The same requests to the real OPA and to the agent, with the same bundle and configuration."""

import gzip
import json

import pytest

from tests.server.beside_opa import ask, same
from tests.support import needs_opa

pytestmark = needs_opa

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
