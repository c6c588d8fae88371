"""Keys, certificates and asymmetric signatures, made here and judged by the real OPA as well."""

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from policy_agent.rego.builtins.catalog import resolve
from tests.rego.builtins.oracle import OPA, Call, opa_outcomes, outcome

pytestmark = [
    pytest.mark.opa,
    pytest.mark.skipif(not OPA, reason="no opa: set OPA_BIN or put it on the PATH"),
]

START = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
END = datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC)


def call(name, *operands):
    return Call(name, operands)


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def certificate(subject, key, issuer, issuer_key, *extensions):
    builder = x509.CertificateBuilder(name(issuer), name(subject), key.public_key(), 7, START, END)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    algorithm = None if isinstance(issuer_key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(issuer_key, algorithm).public_bytes(Encoding.PEM).decode()


def private_pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture(scope="module")
def keys():
    return {
        "RS256": rsa.generate_private_key(65537, 2048),
        "PS512": rsa.generate_private_key(65537, 2048),
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "ES384": ec.generate_private_key(ec.SECP384R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    }


def assert_same(calls, directory):
    ours = [outcome(each) for each in calls]
    assert ours == opa_outcomes(calls, directory)
    return ours


def test_signatures_verify_with_the_right_key_and_algorithm_only(keys, tmp_path):
    to_jwk = resolve("crypto.x509.parse_rsa_private_key").function
    sign = resolve("io.jwt.encode_sign").function
    calls = []
    for algorithm, key in keys.items():
        token = sign({"alg": algorithm}, {"a": 1}, to_jwk(private_pem(key)))
        for other in keys.values():
            pem = other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            calls.append(call("io.jwt.decode_verify", token, {"cert": pem.decode()}))
            calls += [call(f"io.jwt.verify_{each.lower()}", token, pem.decode()) for each in keys]
    ours = assert_same(calls, tmp_path)
    assert ours.count("true") == len(keys)


def test_private_keys_have_gos_shape(keys, tmp_path):
    calls = [
        call(built_in, private_pem(key))
        for key in keys.values()
        for built_in in ("crypto.parse_private_keys", "crypto.x509.parse_rsa_private_key")
    ]
    assert_same(calls, tmp_path)


def test_certificates_have_gos_shape_and_chains_are_judged_as_by_go(keys, tmp_path):
    authority = x509.BasicConstraints(ca=True, path_length=1)
    names = [x509.DNSName("*.example.com"), x509.UniformResourceIdentifier("spiffe://a/b?c=d#e")]
    leaf_parts = (
        x509.SubjectAlternativeName(names),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
    )
    root = certificate("ca", keys["RS256"], "ca", keys["RS256"], authority)
    middle = certificate("in", keys["ES256"], "ca", keys["RS256"], authority)
    leaf = certificate("leaf", keys["EdDSA"], "in", keys["ES256"], *leaf_parts)
    forged = certificate("leaf", keys["EdDSA"], "in", keys["ES384"], *leaf_parts)
    deep = certificate("in", keys["ES256"], "in", keys["ES256"], *leaf_parts)
    verify = "crypto.x509.parse_and_verify_certificates"
    options = [
        {"DNSName": "a.example.com"},
        {"DNSName": "example.com"},
        {"KeyUsages": ["KeyUsageClientAuth"]},
        {"KeyUsages": ["zz"]},
        {"CurrentTime": 0},
        {"zz": 1},
    ]
    chains = [root + middle + leaf, root + leaf, root + middle + forged, root, root + deep + leaf]
    calls = [
        *(call("crypto.x509.parse_certificates", each) for each in (root, middle, leaf, "x", "%")),
        *(call(verify, each) for each in chains),
        *(call(f"{verify}_with_options", chains[0], each) for each in options),
        call("crypto.x509.parse_keypair", leaf, private_pem(keys["EdDSA"])),
        call("crypto.x509.parse_keypair", leaf, private_pem(keys["ES256"])),
    ]
    ours = assert_same(calls, tmp_path)
    assert [each.startswith("[true") for each in ours[5:10]] == [True, False, False, False, False]


def test_signing_requests_have_gos_shape(keys, tmp_path):
    request = x509.CertificateSigningRequestBuilder(name("csr"))
    request = request.add_extension(
        x509.SubjectAlternativeName([x509.DNSName("a.b")]), critical=False
    )
    pem = request.sign(keys["RS256"], hashes.SHA256()).public_bytes(Encoding.PEM).decode()
    assert_same([call("crypto.x509.parse_certificate_request", pem)], tmp_path)
