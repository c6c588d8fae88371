"""Authentication and authorization beside the real OPA, by a policy that tells what it sees."""

import json
import ssl

import pytest
from cryptography.x509 import NameOID

from tests.server.beside_opa import ask, same, side_by_side
from tests.server.certificates import Authority
from tests.support import needs_opa

pytestmark = needs_opa

AUTHZ = """package system.authz

# What it sees, for whoever may not ask; some paths have verdicts of their own.
allow := {"allowed": false, "reason": json.marshal(input)} if not verdict

allow := verdict

verdict := true if input.path == ["health"]

verdict := true if input.identity == "the-token"

verdict := true if input.path[0] == "metrics"

verdict := {"allowed": true} if input.path == ["v1", "data", "app", "echo"]

verdict := {"allowed": true} if input.path == ["v0", "data", "app", "echo"]

verdict := {"allowed": true} if input.path == ["v1", "query"]

verdict := {"allowed": false} if input.path == ["v1", "data", "reasonless"]

verdict := {"allowed": false, "reason": 7} if input.path == ["v1", "data", "odd"]

verdict := {"other": 1} if input.path == ["v1", "data", "other"]

verdict := "text" if input.path == ["v1", "data", "text"]

verdict := {"allowed": 1 / 0} if input.path == ["v1", "data", "undefined"]

verdict := 1 if input.path == ["v1", "data", "conflict"]

verdict := 2 if input.path == ["v1", "data", "conflict"]
"""
FILES = {"authz.rego": AUTHZ, "app.rego": "package app\n\necho := input\n"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    work = tmp_path_factory.mktemp("authz")
    flags = ("--authentication=token", "--authorization=basic")
    with side_by_side(work, FILES, {}, *flags) as ports:
        yield ports


REQUESTS = [
    ("GET", "/v1/data/app/x?pretty&a=1&a=2&b", None, {}),
    ("GET", "/v1/data/app%2Fx/y%20z", None, {"X-Some-Header": "v"}),
    ("POST", "/v1/data/app", b'{"input":{"n":1.50},"x":1}', {}),
    ("POST", "/v1/data/app", b"", {}),
    ("POST", "/v1/data/app", b"input: {a: [1, b]}", {"Content-Type": "application/yaml"}),
    ("POST", "/", b"[1]", {}),
    ("POST", "/v0/data/app", b'"text"', {}),
    ("POST", "/v1/compile", b'{"query":"x"}', {}),
    ("PUT", "/v1/data/app", b'{"a":1}', {}),
    ("DELETE", "/v1/policies/a%2Fb/c", None, {}),
    ("GET", "/nope", None, {}),
    ("GET", "/", None, {}),
    ("GET", "/v1/data/app/", None, {}),
    ("HEAD", "/v1/data/app", None, {}),
    ("GET", "/v1/config", None, {"Authorization": "Bearer another"}),
    ("GET", "/v1/config", None, {"Authorization": "bearer the-token"}),
    ("GET", "/v1/config", None, {"Authorization": "Bearer   the-token x"}),
    ("GET", "/v1/config", None, {"Authorization": "Basic dTpw"}),
    ("GET", "/health", None, {}),
    ("GET", "/v1/data/reasonless", None, {}),
    ("GET", "/v1/data/odd", None, {}),
    ("GET", "/v1/data/other", None, {}),
    ("GET", "/v1/data/text", None, {}),
    ("GET", "/v1/data/undefined", None, {}),
    ("POST", "/v1/data/app/echo", b'{"input":null}', {}),
    ("POST", "/v1/data/app/echo", b'{"INPUT":1}', {}),
    ("POST", "/v1/data/app/echo", b'{"input":1,"x":2}', {}),
    ("POST", "/v1/data/app/echo", b"[1]", {}),
    ("POST", "/v1/data/app/echo", b"null", {}),
    ("POST", "/v1/data/app/echo", b"", {}),
    ("POST", "/v0/data/app/echo", b"[1]", {}),
    ("POST", "/v0/data/app/echo", b"", {}),
    ("POST", "/v1/query", b'{"query":"x := input","input":1}', {}),
    ("POST", "/v1/query", b'{"QUERY":"x := input","input":1}', {}),
    ("POST", "/v1/data/app/echo", b"input: 1", {"Content-Type": "application/yaml"}),
    ("GET", "/v1/data/app", None, {"Authorization": "Bearer the-token"}),
    ("GET", "/v1/data/app/", None, {"Authorization": "Bearer the-token"}),
]


@pytest.mark.parametrize(("method", "target", "body", "headers"), REQUESTS)
def test_the_policy_sees_and_decides_the_same(guarded, method, target, body, headers):
    same(guarded, method, target, body, headers)


@pytest.mark.parametrize("body", [b'{"input":1} x', b"{", b"\xff"])
def test_what_the_policy_could_not_read_is_refused(guarded, body):
    for port in guarded:
        status, _, content = ask(port, "POST", "/v1/data/app/echo", body)
        assert (status, json.loads(content)["code"]) == (400, "invalid_parameter")


def test_a_policy_that_contradicts_itself_refuses(guarded):
    for port in guarded:
        status, _, content = ask(port, "GET", "/v1/data/conflict")
        assert (status, json.loads(content)["code"]) == (500, "internal_error")


def test_a_missing_policy_refuses_everything(tmp_path):
    from policy_agent.decision.decisions import Decisions
    from policy_agent.server.access import Access, Credentials
    from policy_agent.server.call import Call

    access = Access(Decisions(lambda *_: None, lambda: ""), "system/authz/allow", "token")
    call = Call("GET", "/health", "", b"", {}, b"", None, 0)
    refusal = access.refusal(call, Credentials([]))
    assert refusal.status == 500
    assert json.loads(refusal.body)["message"] == "authorization policy missing or undefined"


@pytest.fixture(scope="module")
def mutual(tmp_path_factory):
    work = tmp_path_factory.mktemp("tls")
    authority = Authority(work)
    certificate, key = authority.issue("localhost", (NameOID.COMMON_NAME, "server"))
    context = ssl.create_default_context(cafile=authority.file)
    client = authority.issue(
        "client",
        (NameOID.COUNTRY_NAME, "DE"),
        (NameOID.ORGANIZATION_NAME, "Example, Inc."),
        (NameOID.SERIAL_NUMBER, "7"),
        (NameOID.ORGANIZATION_NAME, "B"),
        (NameOID.COMMON_NAME, "bob + alice "),
    )
    context.load_cert_chain(*client)
    flags = (
        "--authentication=tls",
        "--authorization=basic",
        f"--tls-cert-file={certificate}",
        f"--tls-private-key-file={key}",
        f"--tls-ca-cert-file={authority.file}",
    )
    with side_by_side(work, FILES, {}, *flags, tls=context) as ports:
        yield ports, context, authority


def test_a_client_is_known_by_its_certificate(mutual):
    ports, context, _ = mutual
    theirs, ours = (
        json.loads(json.loads(ask(port, "GET", "/v1/data/app/x", tls=context)[2])["message"])
        for port in ports
    )
    assert ours["identity"] == r"SERIALNUMBER=7,CN=bob \+ alice\ ,O=Example\, Inc.+O=B,C=DE"
    # The client sends the authority's too, which Python tells from 3.13 on.
    del theirs["client_certificates"][1:]
    assert ours == theirs


def test_a_client_without_a_certificate_is_refused(mutual):
    ports, _, authority = mutual
    stranger = ssl.create_default_context(cafile=authority.file)
    for port in ports:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            ask(port, "GET", "/health", tls=stranger)
