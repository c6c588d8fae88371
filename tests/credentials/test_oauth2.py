"""Access tokens, asked for over TLS at a real endpoint."""

import asyncio
import base64
import json
import time
from typing import Any
from urllib.parse import parse_qsl

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from policy_agent.config import Key, Service
from policy_agent.config.credentials import ClientAssertion, OAuth2, SignedAssertion
from policy_agent.errors import TransportError
from policy_agent.service import ServiceClient
from tests.certificates import Authority
from tests.support import http_server, reply


class Endpoints:
    """A token endpoint and a service, which both keep what they were asked with."""

    def __init__(self):
        self.forms, self.headers, self.authorizations = [], [], []
        self.answer: Any = (200, {"access_token": "t1", "token_type": "bearer", "expires_in": 3600})

    def handle(self, request, body):
        if request.path == "/token":
            self.forms.append(dict(parse_qsl(body.decode())))
            self.headers.append(request.headers)
            status, document = self.answer
            raw = document if isinstance(document, bytes) else json.dumps(document).encode()
            reply(request, status, raw)
        else:
            self.authorizations.append(request.headers["Authorization"])
            reply(request, 200)

    def give(self, token, lifetime):
        document = {"access_token": token, "token_type": "Bearer", "expires_in": lifetime}
        self.answer = (200, document)


@pytest.fixture
def endpoints():
    return Endpoints()


@pytest.fixture
def client(endpoints, tmp_path):
    authority = Authority(tmp_path)
    with http_server(endpoints.handle, authority.server_context()) as url:

        def client(**facts):
            credentials = OAuth2(token_url=f"{url}/token", **facts)
            return ServiceClient(Service("s", url, ca_cert=authority.ca, credentials=credentials))

        yield client


def ask(client):
    return asyncio.run(client.request("GET", "/b"))


def test_the_clients_secret_is_exchanged_for_a_token(client, endpoints):
    ask(client(
        client_id="id", client_secret="se:cret", scopes=("a", "b"), headers={"X-Tenant": "t"},
        parameters={"audience": "bundles"},
    ))  # fmt: skip
    assert endpoints.forms == [
        {"scope": "a b", "audience": "bundles", "grant_type": "client_credentials"}
    ]
    login = base64.b64encode(b"id:se:cret").decode()
    assert endpoints.headers[0]["Authorization"] == f"Basic {login}"
    assert endpoints.headers[0]["X-Tenant"] == "t"
    assert endpoints.authorizations == ["Bearer t1"]


@pytest.mark.parametrize(("lifetime", "asked"), [(3600, 1), (11, 1), (9, 2), (None, 2)], ids=str)
def test_a_token_is_kept_while_it_lasts(client, endpoints, lifetime, asked):
    endpoints.give("t", lifetime)
    one = client(client_id="id", client_secret="s")
    ask(one)
    ask(one)
    assert len(endpoints.forms) == asked
    assert endpoints.authorizations == ["Bearer t"] * 2


def test_a_token_that_ran_out_during_a_freeze_is_not_sent(client, endpoints, monkeypatch):
    one = client(client_id="id", client_secret="s")
    ask(one)
    endpoints.give("t2", 3600)
    thawed = time.time() + 7200
    monkeypatch.setattr(time, "time", lambda: thawed)
    ask(one)
    assert endpoints.authorizations == ["Bearer t1", "Bearer t2"]


def test_an_assertion_is_read_for_each_token(client, endpoints, tmp_path):
    endpoints.give("t", 0)
    path = tmp_path / "assertion"
    one = client(client_id="id", assertion=ClientAssertion(token_path=str(path)))
    for text in ("first\n", "second"):
        path.write_text(text)
        ask(one)
    assert [form["client_assertion"] for form in endpoints.forms] == ["first", "second"]
    assert endpoints.forms[0]["client_id"] == "id"
    assert endpoints.forms[0]["client_assertion_type"].endswith(":jwt-bearer")
    assert "Authorization" not in endpoints.headers[0]


@pytest.mark.parametrize("grant_type", ["client_credentials", "jwt_bearer"])
def test_an_assertion_is_signed_with_the_configured_key(client, endpoints, grant_type):
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    assertion = SignedAssertion(
        Key("k", "", "ES256", private_key=pem),
        claims={"iss": "me", "aud": "them"},
        include_jti=True,
        thumbprint="abcd",
    )
    ask(client(assertion=assertion, grant_type=grant_type, scopes=("read",)))
    form = endpoints.forms[0]
    grant = grant_type == "jwt_bearer"
    token = form["assertion" if grant else "client_assertion"]
    claims = jwt.decode(token, private.public_key(), ["ES256"], audience="them")
    assert (claims["iss"], claims["scope"]) == ("me", "read")
    assert claims["exp"] - claims["iat"] == 600
    assert claims["jti"]
    assert jwt.get_unverified_header(token)["x5t"] == "q80="
    expected = "urn:ietf:params:oauth:grant-type:jwt-bearer" if grant else grant_type
    assert form["grant_type"] == expected


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((401, {"error": "secret"}), "the token endpoint answered 401 Unauthorized"),
        ((200, b"<html>"), "answered something that is not JSON"),
        ((200, []), "answered something that is not an object"),
        ((200, {"access_token": "t", "token_type": "mac"}), "gave no bearer token"),
        ((200, {"token_type": "bearer"}), "gave no bearer token"),
    ],
)
def test_an_endpoint_that_gives_no_token_is_named(client, endpoints, answer, message):
    endpoints.answer = answer
    with pytest.raises(TransportError, match=message) as raised:
        ask(client(client_id="id", client_secret="hunter2"))
    assert str(raised.value).startswith("services.s.credentials.oauth2.token_url: ")
    assert "secret" not in str(raised.value)
    assert endpoints.authorizations == []


def test_a_key_that_cannot_sign_is_named(client):
    assertion = SignedAssertion(Key("k", "", "ES256", private_key="no PEM"))
    with pytest.raises(TransportError, match=r"keys\.k\.private_key: cannot be used with ES256"):
        ask(client(assertion=assertion))


def test_an_endpoint_that_is_not_trusted_gets_no_secret(endpoints, tmp_path):
    (tmp_path / "other").mkdir()
    with http_server(endpoints.handle, Authority(tmp_path).server_context()) as url:
        credentials = OAuth2(f"{url}/token", client_id="id", client_secret="s")
        other = Authority(tmp_path / "other").ca
        service = Service("s", url, ca_cert=other, credentials=credentials)
        with pytest.raises(TransportError, match="certificate is not trusted"):
            ask(ServiceClient(service))
    assert endpoints.forms == []
