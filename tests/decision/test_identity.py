import base64
import contextlib
import json
import time

import jwt
import pytest

from tests.decision.running import running_agent
from tests.decision.tokens import (
    AUDIENCE,
    ISSUER,
    claims,
    jwk,
    key_set,
    private_key,
    public_pem,
    token,
)
from tests.support import control_plane, http_server, reply

REGO = """package app

who := input.identity

seen := input

mine if input.identity.claims.sub == input.owner
"""
CLAIMS = ("iss", "aud", "sub")


class KeyServer:
    """Serves a key set on a real socket and counts how often it is asked."""

    def __init__(self) -> None:
        self.body = key_set(jwk("k1"), jwk("enc", use="enc"))
        self.status = 200
        self.fetches = 0
        self.url = ""

    def handle(self, request, body):
        self.fetches += 1
        reply(request, self.status, self.body)


@contextlib.contextmanager
def key_server():
    server = KeyServer()
    with http_server(server.handle) as url:
        server.url = f"{url}/keys"
        yield server


@contextlib.contextmanager
def agent_with(tmp_path, identity):
    with (
        control_plane() as plane,
        running_agent(plane, tmp_path, REGO, identity=identity) as running,
    ):
        yield running, plane


def issuer(**settings):
    return {"issuer": ISSUER, "audiences": [AUDIENCE], **settings}


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    with key_server() as keys:
        identity = {"issuers": {"corp": issuer(jwks_url=keys.url)}}
        with agent_with(tmp_path_factory.mktemp("agent"), identity) as (running, plane):
            running.plane = plane
            yield running


def reason_of(answer):
    assert "result" not in answer
    return answer["warning"]["code"]


def test_policies_see_the_verified_claims_and_who_issued_them(agent):
    answer = agent.decide("app/who", {}, authorization=f"Bearer {token()}")
    assert answer["result"]["issuer"] == "corp"
    assert {name: answer["result"]["claims"][name] for name in CLAIMS} == {
        "iss": ISSUER, "aud": AUDIENCE, "sub": "alice"
    }  # fmt: skip
    assert agent.decide("app/mine", {"owner": "alice"}, authorization=token())["result"] is True
    assert "result" not in agent.decide("app/mine", {"owner": "bob"}, authorization=token())


def test_a_decision_without_an_input_has_an_identity_all_the_same(agent):
    headers = {"authorization": f"bearer {token()}"}
    answer = agent.client.get("/v1/data/app/who/claims/sub", headers=headers)
    assert answer.json()["result"] == "alice"
    answer = agent.client.post("/v0/data/app/who/claims/sub", headers=headers, content=b"{}")
    assert answer.json() == "alice"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(lambda: "", "token_missing", id="missing"),
        pytest.param(lambda: "Bearer", "token_missing", id="nothing after Bearer"),
        pytest.param(lambda: "Basic dTpw", "token_malformed", id="another scheme"),
        pytest.param(lambda: "a.b.c", "token_malformed", id="no token"),
        pytest.param(lambda: token(exp=int(time.time()) - 40), "token_expired", id="expired"),
        pytest.param(lambda: token(exp=None), "token_claims", id="never expires"),
        pytest.param(lambda: token(exp="soon"), "token_claims", id="exp is a word"),
        pytest.param(lambda: token(exp=10**400), "token_claims", id="exp is no time"),
        pytest.param(lambda: token(exp=1e400), "token_claims", id="exp is infinite"),
        pytest.param(lambda: token(nbf=-(10**400)), "token_claims", id="nbf is no time"),
        pytest.param(
            lambda: token(nbf=int(time.time()) + 60), "token_not_yet_valid", id="not yet valid"
        ),
        pytest.param(
            lambda: token(iat=int(time.time()) + 60), "token_not_yet_valid", id="from the future"
        ),
        pytest.param(lambda: token(aud="other"), "token_audience", id="wrong audience"),
        pytest.param(lambda: token(aud=None), "token_claims", id="no audience"),
        pytest.param(
            lambda: token(aud=None, client_id="other"), "token_audience", id="another client"
        ),
        pytest.param(lambda: token(iss="https://evil/"), "token_issuer", id="wrong issuer"),
        pytest.param(lambda: token(iss=None), "token_issuer", id="no issuer"),
        pytest.param(lambda: token("forged", kid="k1"), "token_signature", id="forged"),
        pytest.param(lambda: token("k9"), "token_key_unknown", id="unknown kid"),
        pytest.param(lambda: token("enc"), "token_key_unknown", id="a key for encryption"),
        pytest.param(lambda: token("k1", "PS256"), "token_algorithm", id="not pinned"),
        pytest.param(
            lambda: jwt.encode(claims(), "", "none"), "token_algorithm", id="alg none"
        ),
        pytest.param(lambda: confused(), "token_algorithm", id="HS256 with the public key"),
        pytest.param(lambda: "x" * 16385, "token_too_large", id="oversized"),
    ],
)  # fmt: skip
def test_a_token_that_proves_nothing_is_refused_with_the_reason(agent, make, reason):
    credential = make()
    answer = agent.decide("app/who", {}, authorization=credential)
    assert reason_of(answer) == reason
    text = json.dumps(answer)
    assert not any(part in text for part in (ISSUER, AUDIENCE, "alice", "evil", agent.url))
    agent.call(agent.agent.flush(5))
    assert agent.plane.decisions[-1]["error"]["code"] == reason
    assert not credential or credential not in json.dumps(agent.plane.events)


def confused():
    """Return a token signed with the issuer's public key as if it were a shared secret."""
    # pyjwt refuses to sign with a public key; an attacker does not.
    header = {"alg": "HS256", "typ": "JWT", "kid": "k1"}
    family = jwt.algorithms.get_default_algorithms()["HS256"]
    parts = [encoded(json.dumps(part).encode()) for part in (header, claims())]
    signature = family.sign(".".join(parts).encode(), public_pem("k1"))
    return ".".join([*parts, encoded(signature)])


def encoded(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_a_client_id_stands_in_for_a_missing_audience(agent):
    credential = token(aud=None, client_id=AUDIENCE)
    assert agent.decide("app/who", {}, authorization=credential)["result"]["issuer"] == "corp"


def test_clocks_may_differ_a_little(agent):
    for credential in (token(exp=int(time.time()) - 10), token(nbf=int(time.time()) + 10)):
        assert "result" in agent.decide("app/who", {}, authorization=credential)


def test_nobody_but_the_agent_sets_the_identity(agent):
    forged = {"identity": {"issuer": "corp", "claims": {"sub": "root"}}}
    answer = agent.decide("app/who", forged, authorization=token())
    assert reason_of(answer) == "identity_reserved"
    assert reason_of(agent.decide("app/who", "text", authorization=token())) == "identity_no_object"


def test_a_rotated_key_is_fetched_once_however_many_are_unknown(tmp_path):
    with key_server() as keys:
        identity = {"issuers": {"corp": issuer(jwks_url=keys.url)}}
        with agent_with(tmp_path, identity) as (running, _):
            assert keys.fetches == 1  # at start
            assert "result" in running.decide("app/who", {}, authorization=token())
            keys.body = key_set(jwk("k2"))
            for _ in range(3):
                assert "result" in running.decide("app/who", {}, authorization=token("k2"))
            for name in ("k8", "k9", "k1"):  # what was verified with the old key is no longer
                answer = running.decide("app/who", {}, authorization=token(name))
                assert reason_of(answer) == "token_key_unknown"
            assert keys.fetches == 2


def test_keys_that_cannot_be_had_are_no_keys(tmp_path):
    with key_server() as keys:
        keys.status = 503
        identity = {"issuers": {"corp": issuer(jwks_url=keys.url)}}
        with agent_with(tmp_path, identity) as (running, _):
            answer = running.decide("app/who", {}, authorization=token())
            assert reason_of(answer) == "token_keys_unavailable"
            assert keys.fetches == 1


def test_a_token_in_the_input_is_taken_out_of_it(tmp_path):
    identity = {
        "input_field": "credentials.token",
        "issuers": {"corp": issuer(jwks={"keys": [jwk("k1")]})},
    }
    with agent_with(tmp_path, identity) as (running, plane):
        question = {"credentials": {"token": token(), "kind": "jwt"}, "n": 1}
        seen = running.decide("app/seen", question, authorization="not looked at")["result"]
        assert seen["credentials"] == {"kind": "jwt"}
        assert seen["identity"]["claims"]["sub"] == "alice"
        for wrong in ({"credentials": {}}, {"credentials": "x"}, {}, []):
            assert reason_of(running.decide("app/seen", wrong)) == "token_missing"
        question = {"credentials": {"token": ["a list"]}}
        assert reason_of(running.decide("app/seen", question)) == "token_malformed"
        question = {"credentials": {"token": "a.bad.token"}}
        assert reason_of(running.decide("app/seen", question)) == "token_malformed"
        running.call(running.agent.flush(5))
        text = json.dumps(plane.events)
        assert "a.bad.token" not in text
        assert token() not in text
        assert plane.decisions[0]["input"]["credentials"] == {"kind": "jwt"}


def test_an_optional_token_may_be_missing_but_not_wrong(tmp_path):
    identity = {"required": False, "issuers": {"corp": issuer(jwks={"keys": [jwk("k1")]})}}
    with agent_with(tmp_path, identity) as (running, _):
        assert running.decide("app/seen", {"n": 1})["result"] == {"n": 1}
        expired = token(exp=int(time.time()) - 60)
        assert reason_of(running.decide("app/seen", {}, authorization=expired)) == "token_expired"
        assert reason_of(running.decide("app/who", {"identity": {}})) == "identity_reserved"


def test_another_header_can_hold_the_token(tmp_path):
    identity = {"header": "X-Caller", "issuers": {"corp": issuer(jwks={"keys": [jwk("k1")]})}}
    with agent_with(tmp_path, identity) as (running, _):
        assert "result" in running.decide("app/who", {}, x_caller=token())
        assert reason_of(running.decide("app/who", {}, authorization=token())) == "token_missing"


@pytest.mark.parametrize("algorithm", ["RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA"])
def test_every_asymmetric_algorithm_can_be_pinned(tmp_path, algorithm):
    settings = issuer(algorithms=[algorithm], jwks={"keys": [jwk("k", algorithm)]})
    with agent_with(tmp_path, {"issuers": {"corp": settings}}) as (running, _):
        credential = token("k", algorithm, kid=None)
        assert "result" in running.decide("app/who", {}, authorization=credential)


def test_without_identity_the_input_is_the_callers_own(tmp_path):
    with control_plane() as plane, running_agent(plane, tmp_path, REGO) as running:
        assert running.decide("app/who", {"identity": 7})["result"] == 7


def test_a_weak_key_is_no_key(tmp_path):
    family = jwt.algorithms.get_default_algorithms()["RS256"]
    weak = private_key("weak", bits=1024)
    entry = {**family.to_jwk(weak.public_key(), as_dict=True), "kid": "weak"}
    settings = issuer(jwks={"keys": [entry]})
    with agent_with(tmp_path, {"issuers": {"corp": settings}}) as (running, _):
        with pytest.warns(jwt.InsecureKeyLengthWarning):
            credential = jwt.encode(claims(), weak, "RS256", {"kid": "weak"})
        answer = running.decide("app/who", {}, authorization=credential)
        assert reason_of(answer) == "token_keys_unavailable"
