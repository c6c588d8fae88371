"""Signatures: what vouches for a bundle, and every way in which it does not."""

import datetime
import json
import re
import subprocess

import pytest

from policy_agent.bundle.reader import read_bundle
from policy_agent.bundle.verify import verify
from policy_agent.config import Key, Signing
from policy_agent.errors import BundleVerificationError
from tests.bundle.archives import archive, module
from tests.bundle.signing import (
    SECRET,
    digest,
    listed,
    signature_file,
    token,
    write_key_pair,
)
from tests.support import OPA, needs_opa

FILES = {"a/p.rego": module("a"), "notes.txt": b"n"}
KEYS = {"k": SECRET}
NAME = ".signatures.json"


def signed(payload=None, files=FILES, **token_facts):
    payload = {"files": listed(FILES)} if payload is None else payload
    return {**files, NAME: signature_file(token(payload, **token_facts))}


def refused(files, message, *, signing=None, keys=KEYS):
    with pytest.raises(BundleVerificationError, match=re.escape(message)):
        verify(files, signing=signing, keys=keys)


@pytest.mark.parametrize(
    ("files", "signing", "keys", "message"),
    [
        pytest.param(FILES, None, {}, None, id="unsigned, nothing configured"),
        pytest.param(FILES, None, KEYS, None, id="unsigned, keys but no signing"),
        pytest.param(
            FILES, Signing(), KEYS, "bundle missing .signatures.json file", id="unsigned, signing"
        ),
        pytest.param(signed(), None, {}, "verification key not provided", id="signed, no keys"),
        pytest.param(signed(), None, KEYS, None, id="signed, keys"),
        pytest.param(signed(), Signing(("k",)), KEYS, None, id="signed, signing"),
        pytest.param(
            signed(),
            Signing(("other",)),
            KEYS,
            "key corresponding to ID other not found",
            id="key id",
        ),
    ],
)
def test_who_needs_a_signature(files, signing, keys, message):
    if message is None:
        verify(files, signing=signing, keys=keys)
    else:
        refused(files, message, signing=signing, keys=keys)


@pytest.mark.parametrize(
    ("header", "payload_key", "signing"),
    [
        pytest.param({"alg": "HS256"}, None, Signing(("k",)), id="configured"),
        pytest.param({"alg": "HS256", "kid": "k"}, "zzz", Signing(), id="header before payload"),
        pytest.param({"alg": "HS256"}, "k", Signing(), id="payload"),
        pytest.param({"alg": "HS256", "kid": "zzz"}, None, Signing(("k",)), id="configured wins"),
    ],
)
def test_where_the_key_id_comes_from(header, payload_key, signing):
    payload = {"files": listed(FILES), "keyid": payload_key}
    verify(signed(payload, header=header), signing=signing, keys=KEYS)


def test_the_algorithm_is_the_keys_whatever_the_token_says():
    verify(signed(header={"alg": "none", "kid": "k"}), signing=None, keys=KEYS)
    unsigned = token({"files": listed(FILES)}, header={"alg": "none", "kid": "k"})
    files = {**FILES, NAME: signature_file(unsigned.rpartition(".")[0] + ".")}
    refused(files, "failed to verify JWT signature")


def test_a_public_key_cannot_be_used_as_a_shared_secret(tmp_path):
    _, public = write_key_pair(tmp_path, "RS256")
    forged = signed(header={"alg": "HS256", "kid": "k"}, secret=public)
    refused(forged, "failed to verify", keys={"k": Key("k", public, "RS256")})


@pytest.mark.parametrize(
    ("payload_scope", "key_scope", "signing_scope", "is_good"),
    [
        pytest.param(None, "", "", True, id="none anywhere"),
        pytest.param("w", "w", "", True, id="the key's"),
        pytest.param("w", "r", "w", True, id="signing's wins"),
        pytest.param("w", "", "", False, id="unexpected"),
        pytest.param(None, "w", "", False, id="missing"),
    ],
)
def test_scopes(payload_scope, key_scope, signing_scope, is_good):
    files = signed({"files": listed(FILES), "scope": payload_scope})
    keys = {"k": Key("k", SECRET.key, "HS256", key_scope)}
    signing = Signing(scope=signing_scope)
    if is_good:
        verify(files, signing=signing, keys=keys)
    else:
        refused(files, "scope mismatch", signing=signing, keys=keys)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param(
            signed(files={**FILES, "a/p.rego": b"package a\nallow := 1"}),
            f"a/p.rego: digest mismatch (want: {digest(FILES['a/p.rego'])}, got: ",
            id="changed",
        ),
        pytest.param(
            signed(files={**FILES, "b.rego": b""}),
            "file b.rego not included in bundle signature",
            id="added",
        ),
        pytest.param(
            signed(files={"a/p.rego": FILES["a/p.rego"]}),
            "file(s) [notes.txt] specified in bundle signatures but not found",
            id="removed",
        ),
        pytest.param(
            signed(files={**FILES, "evil.signatures.json": b""}),
            "file evil.signatures.json not included",
            id="added under a name that ends like the signature file",
        ),
        pytest.param(signed(secret="wrong"), "failed to verify JWT signature", id="wrong key"),
        pytest.param(
            signed(header={"alg": "HS256"}), "verification key ID is empty", id="no key id"
        ),
        pytest.param(
            signed(header={"kid": "x"}), "corresponding to ID x not found", id="unknown key"
        ),
        pytest.param(
            signed(header={"kid": "k", "crit": ["b64"]}), "critical extensions", id="critical"
        ),
        pytest.param(signed(header=[]), "JWT header: must be an object", id="header list"),
        pytest.param(signed([]), "JWT payload: must be an object", id="payload list"),
        pytest.param(signed({"files": {}}), "file a/p.rego not included", id="no files"),
        pytest.param(signed({"files": "x"}), "files must be a list", id="files no list"),
        pytest.param(
            signed({"files": ["x"]}), "lacks name, hash or algorithm", id="file no object"
        ),
        pytest.param(
            signed({"files": [{"name": "../x", "hash": "", "algorithm": ""}]}),
            "leads outside",
            id="file outside",
        ),
        pytest.param(
            signed({"files": listed(FILES) + listed(FILES)}), "is listed twice", id="twice"
        ),
        pytest.param(
            signed(
                {"files": [{"name": "notes.txt", "hash": "", "algorithm": "CRC"}]},
                {"notes.txt": b""},
            ),
            "unsupported hashing algorithm: CRC",
            id="unknown digest",
        ),
        pytest.param(
            signed({"files": listed({"data.json": b"{"})}, {"data.json": b"{"}),
            "data.json: line 1",
            id="not JSON",
        ),
        pytest.param(FILES | {NAME: b"{}"}, "missing JWT (expected exactly one)", id="no token"),
        pytest.param(
            FILES | {NAME: signature_file(*["a"] * 17)}, "more than 16 JWTs", id="many tokens"
        ),
        pytest.param(
            FILES | {NAME: b'{"signatures": [1]}'}, "must be a list of strings", id="token no text"
        ),
        pytest.param(
            FILES | {NAME: signature_file("a", plugin="mine")},
            "no verifier exists under id mine",
            id="plugin",
        ),
        pytest.param(FILES | {NAME: b"["}, ".signatures.json: line 1", id="signatures no JSON"),
        pytest.param(FILES | {NAME: signature_file("a.b")}, "three parts", id="two parts"),
        pytest.param(FILES | {NAME: signature_file("a.é.c")}, "base64 decode", id="no base64"),
        pytest.param(FILES | {NAME: signature_file("....")}, "three parts", id="five parts"),
        pytest.param(
            signed() | {f"x/{NAME}": b"{}"}, "bundle contains multiple signatures", id="two files"
        ),
    ],
)
def test_what_is_not_vouched_for_is_refused(files, message):
    refused(files, message)


def test_names_in_a_signature_may_have_a_leading_slash():
    payload = {"files": listed({f"/{path}": content for path, content in FILES.items()})}
    verify(signed(payload), signing=None, keys=KEYS)


def test_excluded_files_need_no_vouching_but_others_do():
    files = signed(files={**FILES, "notes.txt": b"changed", "logs/x.txt": b""})
    verify(files, signing=Signing(exclude_files=("*.txt", "logs/*")), keys=KEYS)
    refused(files, "file logs/x.txt not included", signing=Signing(exclude_files=("*.txt",)))


def test_a_key_that_does_not_fit_its_algorithm_is_named(tmp_path):
    _, public = write_key_pair(tmp_path, "RS256")
    keys = {"k": Key("k", public, "ES256")}
    refused(signed(), "keys.k.key: cannot be used with ES256", keys=keys)
    keys = {"k": Key("k", "not PEM", "RS256")}
    refused(signed(), "keys.k.key: cannot be used with RS256", keys=keys)


BUNDLE = {
    ".manifest": b'{"revision": "r1", "roots": ["a"], "metadata": {"n": 1.0, "e": 1e2}}',
    "a/p.rego": module("a"),
    "a/data.json": (
        '{"e": 1E+400, "f": -0.0, "b": 123456789012345678901234567890, "t": "<é>&\\u2028\\ud800'
        '\\u0001\\b", "z": [1, {"b": null, "a": [] , "é": {}}], "d": 1, "d": 2}'
    ).encode(),
    "a/yaml/data.yaml": b"x: 1.0\ny: [0.00001, 1.0e+22, -12345678901234567890, true]\nz: on\n",
    "a/c/data.yml": b"k: &v {n: 5}\nl: *v\n",
}


def opa_signed(directory, algorithm: str, key: str) -> bytes:
    """A bundle signed by the real opa, packed by us."""
    for path, content in BUNDLE.items():
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    subprocess.run(
        [str(OPA), "sign", "--bundle", ".", "--signing-alg", algorithm, "--signing-key", key],
        cwd=directory,
        check=True,
        timeout=20,
        capture_output=True,
    )
    return archive({**BUNDLE, NAME: (directory / NAME).read_bytes()})


@needs_opa[0]
@needs_opa[1]
@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "ES512", "HS256"])
def test_what_opa_signs_verifies_and_tampering_shows(tmp_path, algorithm):
    if algorithm == "HS256":
        private, public = SECRET.key, SECRET.key
    else:
        path, public = write_key_pair(tmp_path, algorithm)
        private = str(path)
    source = tmp_path / "source"
    source.mkdir()
    raw = opa_signed(source, algorithm, private)
    keys = {"k": Key("k", public, algorithm)}
    read = read_bundle("b", raw, signing=Signing(("k",)), keys=keys)
    assert read.manifest.revision == "r1"
    tampered = {
        **BUNDLE,
        "a/data.json": BUNDLE["a/data.json"].replace(b'"d": 2', b'"d": 3'),
        NAME: (source / NAME).read_bytes(),
    }
    with pytest.raises(BundleVerificationError, match=r"a/data.json: digest mismatch"):
        read_bundle("b", archive(tampered), signing=Signing(("k",)), keys=keys)
    _, other = ("", "wrong") if algorithm == "HS256" else write_key_pair(tmp_path, algorithm)
    with pytest.raises(BundleVerificationError, match="failed to verify"):
        read_bundle("b", raw, signing=Signing(("k",)), keys={"k": Key("k", other, algorithm)})


@needs_opa[0]
@needs_opa[1]
def test_what_opa_builds_and_signs_verifies_with_scope_and_certificate(tmp_path):
    private, public = write_key_pair(tmp_path, "RS256")
    source = tmp_path / "source"
    (source / "a").mkdir(parents=True)
    (source / "a" / "p.rego").write_bytes(module("a"))
    (source / "a" / "data.json").write_bytes(b'{"n": 1.50}')
    claims = tmp_path / "claims.json"
    claims.write_text(json.dumps({"keyid": "k", "scope": "write"}))
    output = tmp_path / "b.tar.gz"
    command = ["build", "-b", ".", "-o", output, "--signing-key", private, "--claims-file", claims]
    subprocess.run([str(OPA), *command], cwd=source, check=True, timeout=20, capture_output=True)
    for key in (public, certificate(private), private.read_text()):
        keys = {"k": Key("k", key, "RS256", "write")}
        assert read_bundle("b", output.read_bytes(), signing=Signing(), keys=keys).modules


def certificate(private) -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = serialization.load_pem_private_key(private.read_bytes(), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "signer")])
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=start,
        not_valid_after=start + datetime.timedelta(days=36500),
    )
    signed_certificate = builder.sign(key, hashes.SHA256())
    return signed_certificate.public_bytes(serialization.Encoding.PEM).decode()
