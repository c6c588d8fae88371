"""Verification keys from files, JWKS and AWS KMS, at real servers."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from policy_agent.bundle.keyring import RENEW_SECONDS, Keyring
from policy_agent.bundle.schedule import Clock
from policy_agent.bundle.verify import verify
from policy_agent.cli import main
from policy_agent.config import Key, Signing, parse_config
from policy_agent.errors import BundleVerificationError, ConfigError
from policy_agent.publisher.bundle_files import read_bundle_files
from tests.bundle.archives import archive, module
from tests.bundle.serving import Answer, bundle_server
from tests.bundle.signing import SECRET, listed, signature_file, token, write_key_pair
from tests.bundle.test_bundle_manager import Rig, sources
from tests.real_servers import moto
from tests.support import http_server, reply


@dataclass
class Time:
    now: float = 1e9

    def clock(self):
        return Clock(lambda: self.now, lambda: self.now, lambda low, high: low)


def keyring(*keys, time=None):
    return Keyring({key.id: key for key in keys}, (time or Time()).clock())


def renew(ring):
    asyncio.run(ring.renew(10))
    return ring.keys


def test_a_key_in_a_file_is_read(tmp_path):
    _, public = write_key_pair(tmp_path, "ES256")
    (tmp_path / "k.pem").write_text(public)
    keys = renew(keyring(Key("k", "", "ES256", "write", path=str(tmp_path / "k.pem"))))
    assert (keys["k"].key, keys["k"].scope) == (public, "write")


def test_a_key_that_cannot_be_had_is_missing_and_asked_for_again(tmp_path, caplog):
    path = tmp_path / "k.pem"
    ring = keyring(Key("k", "", path=str(path)), Key("own", "text"))
    assert list(renew(ring)) == ["own"]
    assert "keys.k: the key cannot be had: no such file" in caplog.text
    path.write_text("later")
    assert renew(ring)["k"].key == "later"


def jwk_of(public, kid, **more):
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    key: Any = load_pem_public_key(public.encode())
    algorithm: Any = ECAlgorithm if isinstance(key, EllipticCurvePublicKey) else RSAAlgorithm
    return {**algorithm.to_jwk(key, as_dict=True), "kid": kid, **more}


def test_the_keys_of_a_set_verify_under_their_own_names(tmp_path):
    _, one = write_key_pair(tmp_path, "RS256")
    _, other = write_key_pair(tmp_path, "ES256")
    members = [
        jwk_of(one, "new"),
        jwk_of(one, "own"),
        jwk_of(one, "encrypts", use="enc"),
        jwk_of(one, "stronger", alg="RS512"),
        jwk_of(other, "another kind"),
        {"kty": "oct", "kid": "secret", "k": "c2VjcmV0"},
        {**jwk_of(one, "broken"), "n": "?"},
        {"kty": "RSA", "kid": "empty"},
        "text",
        {"kty": "RSA"},
    ]
    body = json.dumps({"keys": members}).encode()
    with http_server(lambda request, _: reply(request, 200, body)) as url:
        keys = renew(keyring(Key("set", "", "RS256", "s", jwks_url=url), Key("own", "configured")))
    assert set(keys) == {"new", "own"}
    assert keys["new"].key == one
    assert (keys["new"].in_set, keys["new"].scope) == ("set", "s")
    assert keys["own"].key == "configured", "a set does not replace what is configured"


def test_a_set_is_fetched_again_when_it_is_old_and_stays_when_it_cannot_be(tmp_path):
    _, public = write_key_pair(tmp_path, "RS256")
    answers = [(200, {"keys": [jwk_of(public, "one")]}), (500, {}), (200, [])]
    answers += [(200, {"keys": [jwk_of(public, "two")]})]
    seen = []

    def handle(request, _):
        seen.append(request.path)
        status, document = answers[len(seen) - 1]
        reply(request, status, json.dumps(document).encode())

    time = Time()
    with http_server(handle) as url:
        ring = keyring(Key("set", "", jwks_url=url), time=time)
        assert list(renew(ring)) == ["one"]
        assert list(renew(ring)) == ["one"]
        assert len(seen) == 1
        time.now += RENEW_SECONDS + 1
        assert list(renew(ring)) == ["one"], "the server failed"
        assert list(renew(ring)) == ["one"], "what it sent is no set"
        assert list(renew(ring)) == ["two"]


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "p.rego").write_text("package p\n\nallow := true\n")
    return tmp_path / "src"


def test_any_key_of_a_set_that_the_bundle_names_may_sign_it(source, tmp_path):
    private, public = write_key_pair(tmp_path, "RS256")
    (tmp_path / "claims.json").write_text('{"keyid": "kid"}')
    sign = ["sign", "src", "-o", "src", "--signing-key", str(private)]
    assert main([*sign, "--claims-file", "claims.json"]) == 0
    files = read_bundle_files(source)
    keys = {"kid": Key("kid", public, in_set="set"), "k": Key("k", public)}
    assert verify(files, signing=Signing(("set",)), keys=keys).key_ids == ("kid",)
    with pytest.raises(BundleVerificationError):
        verify(files, signing=Signing(("k", "other")), keys=keys)


@pytest.fixture(scope="module")
def kms(tmp_path_factory):
    """The URL of moto."""
    with moto(tmp_path_factory.mktemp("moto")) as url:
        yield url


# moto salts PS256 to PS512 otherwise than KMS (RFC 7518, section 3.5), so these are not tried.
@pytest.mark.parametrize(
    ("spec", "algorithm"),
    [("RSA_2048", "RS256"), ("RSA_2048", "RS512"), ("ECC_NIST_P384", "ES384")],
)
def test_a_bundle_signed_in_kms_verifies_by_kms(source, kms, monkeypatch, capsys, spec, algorithm):
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIATEST",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL": kms,
    }.items():
        monkeypatch.setenv(name, value)
    client = pytest.importorskip("boto3").client(
        "kms", region_name="eu-central-1", endpoint_url=kms
    )
    arn = client.create_key(KeyUsage="SIGN_VERIFY", KeySpec=spec)["KeyMetadata"]["Arn"]
    alg = ["--signing-alg", algorithm]
    assert main(["sign", "src", "-o", "src", "--signing-key", f"awskms:///{arn}", *alg]) == 0
    assert main(["verify", "src", "--verification-key", f"awskms:///{arn}", *alg]) == 0
    keys = renew(keyring(Key("k", "", algorithm, kms_key_id=arn)))
    verify(read_bundle_files(source), signing=Signing(("k",)), keys=keys)
    capsys.readouterr()
    assert main(["sign", "src", "--signing-key", "awskms:///alias/none", *alg]) == 1
    assert "signing key: KMS: 127.0.0.1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        pytest.param({"key": "x", "key_path": "/k"}, "key_path: does not go together", id="two"),
        pytest.param({"jwks_url": "http://example.com"}, "jwks_url: must be an https", id="http"),
        pytest.param(
            {"jwks_url": "http://127.0.0.1.example.com"}, "must be an https", id="almost local"
        ),
        pytest.param({"kms_key_id": "k", "algorithm": "HS256"}, "with a public key", id="secret"),
        pytest.param({}, "key: is required", id="none"),
    ],
)
def test_where_a_key_comes_from_must_be_clear(key, problem):
    with pytest.raises(ConfigError, match=problem):
        parse_config({"keys": {"k": key}})


def test_a_bundle_that_lacks_a_key_says_why_until_the_key_is_there(tmp_path):
    path = tmp_path / "key"
    files = {"a/p.rego": module("a")}
    raw = archive({**files, ".signatures.json": signature_file(token({"files": listed(files)}))})
    with bundle_server(authz=Answer(raw)) as server:
        rig = Rig(tmp_path).build(
            sources(server.url, "authz", signing=Signing()),
            keys={"k": Key("k", "", "HS256", path=str(path))},
        )
        rig.start()
        reason = "keys.k: the key cannot be had: no such file or directory"
        assert rig.status().message == f"verification key not provided ({reason})"
        path.write_text(SECRET.key)
        rig.later()
    assert rig.revisions == {"authz": ""}
    assert rig.status().message == ""
