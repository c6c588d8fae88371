from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from jwt.algorithms import get_default_algorithms

from policy_agent.config import ALGORITHMS
from policy_agent.errors import ConfigError
from policy_agent.publisher.signing_key import signing_function

MESSAGE = b"header.payload"


def text_of(key: str) -> str:
    return Path(key).read_text() if key.endswith(".pem") else key


def pem(private, password: bytes | None = None) -> str:
    encryption = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    raw: bytes = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )
    return raw.decode()


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_every_algorithm_signs_what_another_library_verifies(algorithm, key_of):
    private, public = key_of(algorithm)
    signature = signing_function(text_of(private), algorithm)(MESSAGE)
    judge = get_default_algorithms()[algorithm]
    key = judge.prepare_key(text_of(public))
    assert judge.verify(MESSAGE, key, signature)
    assert not judge.verify(MESSAGE + b".", key, signature)


@pytest.mark.parametrize(
    "algorithm", [name for name in sorted(ALGORITHMS) if not name.startswith("PS")]
)
def test_signing_twice_gives_the_same_signature(algorithm, key_of):
    sign = signing_function(text_of(key_of(algorithm)[0]), algorithm)
    assert sign(MESSAGE) == sign(MESSAGE)


@pytest.mark.parametrize(
    ("key", "algorithm", "problem"),
    [
        pytest.param("ES256", "RS256", "RS256 needs an RSA private key", id="EC for RSA"),
        pytest.param("RS256", "ES256", "a private key of the curve secp256r1", id="RSA for EC"),
        pytest.param("ES256", "ES384", "a private key of the curve secp384r1", id="other curve"),
    ],
)
def test_a_key_of_another_kind_is_refused(key, algorithm, problem, key_of):
    with pytest.raises(ConfigError, match=problem):
        signing_function(text_of(key_of(key)[0]), algorithm)


def test_what_is_no_private_key_is_refused_without_showing_it(key_of):
    encrypted = pem(rsa.generate_private_key(65537, 2048), b"password")
    for key in ("not a key", text_of(key_of("RS256")[1]), encrypted):
        with pytest.raises(ConfigError) as caught:
            signing_function(key, "RS256")
        assert str(caught.value) == "signing key: is not an unencrypted private key in PEM"


def test_keys_of_algorithms_that_opa_lacks_are_refused():
    with pytest.raises(ConfigError, match="needs an RSA private key"):
        signing_function(pem(ed25519.Ed25519PrivateKey.generate()), "PS256")


def test_a_key_too_small_for_the_algorithm_is_refused():
    sign = signing_function(pem(rsa.generate_private_key(65537, 1024)), "PS512")
    with pytest.raises(ConfigError, match="1024 bits are too few for PS512"):
        sign(MESSAGE)
