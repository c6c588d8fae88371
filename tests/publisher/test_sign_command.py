import json
import os
from pathlib import Path

import pytest

from policy_agent.cli import main
from policy_agent.publisher.archive import pack
from policy_agent.publisher.bundle_files import read_bundle_files

SECRET = "a shared secret"


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "src"
    (source / "app").mkdir(parents=True)
    (source / ".manifest").write_text('{"roots": ["app"]}')
    (source / "app" / "p.rego").write_text("package app\n\nallow := true\n")
    (source / "app" / "data.json").write_text('{"n": 1e2}')
    (tmp_path / "claims.json").write_text('{"scope": "write", "keyid": "k"}')
    return source


@pytest.mark.parametrize("algorithm", ["RS256", "PS384", "ES512", "HS256"])
def test_a_signed_directory_verifies(source, key_of, algorithm, capsys):
    private, public = key_of(algorithm)
    alg = ["--signing-alg", algorithm]
    assert main(["sign", "-b", "src", "-o", "src", "--signing-key", private, *alg]) == 0
    assert main(["verify", "src", "--verification-key", public, *alg]) == 0
    assert "files: 3" in capsys.readouterr().out


def test_a_directory_and_its_archive_have_one_signature(source, tmp_path):
    (tmp_path / "src.tar.gz").write_bytes(pack(read_bundle_files(source)))
    flags = ["--signing-alg", "HS256", "--signing-key", SECRET]
    signatures = []
    for path in ("src", "src/", "src.tar.gz", str(source)):
        assert main(["sign", path, *flags]) == 0
        signatures.append((tmp_path / ".signatures.json").read_bytes())
    assert len(set(signatures)) == 1


def test_the_secret_may_be_in_a_file_and_claims_too(source, tmp_path, capsys):
    (tmp_path / "secret").write_text(SECRET)
    sign = ["sign", "src", "-o", "src", "--signing-alg", "HS256", "--claims-file", "claims.json"]
    assert main([*sign, "--signing-key", "secret"]) == 0
    verify = ["verify", "src", "--signing-alg", "HS256", "--verification-key", SECRET]
    assert main([*verify, "--scope", "write", "-f", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "verified": True,
        "algorithm": "HS256",
        "keyid": "k",
        "scope": "write",
        "files": 3,
    }


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        pytest.param(
            ["--signing-key", "hunter2"], "--signing-key: there is no such file", id="pem"
        ),
        pytest.param(
            ["--signing-key", "hunter2.pem", "--signing-alg", "HS256"],
            "--signing-key: there is no such file",
            id="mistyped file",
        ),
        pytest.param(
            ["--signing-key", "", "--signing-alg", "HS256"],
            "--signing-key: is empty",
            id="empty",
        ),
        pytest.param(
            ["--signing-key", "/dev/null", "--signing-alg", "HS256"],
            "--signing-key: the file cannot be read: not a regular file",
            id="device",
        ),
        pytest.param(
            ["--signing-key", "empty", "--signing-alg", "HS256"],
            "--signing-key: HS256 needs a secret, not a key in PEM or an empty file",
            id="empty file",
        ),
        pytest.param(
            ["--signing-key", "-----BEGIN PUBLIC KEY-----hunter2", "--signing-alg", "HS256"],
            "--signing-key: HS256 needs a secret, not a key in PEM or an empty file",
            id="PEM secret",
        ),
        pytest.param(
            ["--signing-key", "-----BEGIN PRIVATE KEY-----hunter2"],
            "signing key: is not an unencrypted private key in PEM",
            id="malformed PEM",
        ),
        pytest.param(
            ["--signing-key", os.fsdecode(b"hunter2\xff"), "--signing-alg", "HS256"],
            "--signing-key: the key is not text in UTF-8",
            id="not UTF-8",
        ),
        pytest.param(
            ["--signing-key", "src"],
            "--signing-key: the file cannot be read: is a directory",
            id="directory",
        ),
    ],
)
def test_a_key_that_cannot_be_used_ends_with_a_sentence_without_it(
    source, tmp_path, capsys, flags, problem
):
    (tmp_path / "empty").touch()
    assert main(["sign", "src", *flags]) == 1
    assert capsys.readouterr().err == f"policy-agent sign: error: {problem}\n"
    assert not (tmp_path / ".signatures.json").exists()


def test_a_secret_may_be_longer_than_a_file_name(source, tmp_path):
    flags = ["--signing-key", "s" * 5000, "--signing-alg", "HS256"]
    assert main(["sign", "src", *flags]) == 0


@pytest.mark.parametrize(
    ("claims", "problem"),
    [
        pytest.param(None, "claims.json: there is no such file", id="missing"),
        pytest.param("{", "claims.json: line 1", id="not JSON"),
        pytest.param("[]", "claims.json: must be a JSON object", id="not an object"),
        pytest.param('{"files": []}', "files is what the signature itself says", id="files"),
        pytest.param('{"keyid": 1}', "keyid must be a string", id="keyid"),
        pytest.param('{"scope": []}', "scope must be a string", id="scope"),
    ],
)
def test_claims_that_cannot_be_used_end_with_a_sentence(source, tmp_path, capsys, claims, problem):
    path = tmp_path / "claims.json"
    path.unlink() if claims is None else path.write_text(claims)
    flags = ["--signing-key", SECRET, "--signing-alg", "HS256", "--claims-file", "claims.json"]
    assert main(["sign", "src", *flags]) == 1
    error = capsys.readouterr().err
    assert error.startswith("policy-agent sign: error: --claims-file: ")
    assert problem in error
    assert not (tmp_path / ".signatures.json").exists()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        pytest.param(["nowhere"], "nowhere: no such file or directory", id="no bundle"),
        pytest.param(["claims.json"], "gzip: invalid header", id="no archive"),
        pytest.param(["src", "-o", "no"], "no/.signatures.json: cannot be written", id="output"),
    ],
)
def test_paths_that_cannot_be_used_end_with_a_sentence(source, capsys, arguments, problem):
    assert main(["sign", *arguments, "--signing-key", SECRET, "--signing-alg", "HS256"]) == 1
    assert problem in capsys.readouterr().err


def test_a_file_name_that_no_archive_can_hold_is_refused(source, capsys):
    Path(os.fsdecode(b"src/\xff.rego")).write_text("package app\n")
    assert main(["sign", "src", "--signing-key", SECRET, "--signing-alg", "HS256"]) == 1
    assert "the name is not UTF-8" in capsys.readouterr().err


def test_an_unknown_algorithm_is_refused_with_the_known_ones(source, capsys):
    with pytest.raises(SystemExit):
        main(["sign", "src", "--signing-key", SECRET, "--signing-alg", "none"])
    assert "'ES256', 'ES384'" in capsys.readouterr().err


VALIDITY = ["--expires", "2100-01-01T00:00:00Z", "--not-before", "2020-01-01T01:00:00+01:00"]


def test_a_signature_says_until_when_and_for_which_version(source, key_of, capsys):
    private, public = key_of("RS256")
    sign = ["sign", "src", "-o", "src", "--signing-key", private, *VALIDITY, "--version", "42"]
    assert main(sign) == 0
    assert main(["verify", "src", "--verification-key", public, "-f", "json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["version"], answer["expires"]) == (42, "2100-01-01T00:00:00Z")


def test_a_duration_counts_from_now(source, key_of, capsys):
    private, public = key_of("RS256")
    sign = ["sign", "src", "-o", "src", "--signing-key", private]
    assert main([*sign, "--expires", "90d"]) == 0
    assert main(["verify", "src", "--verification-key", public]) == 0
    assert main([*sign, "--not-before", "12h"]) == 0
    assert main(["verify", "src", "--verification-key", public]) == 1
    assert "the signature is not valid before" in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(["--expires", "tomorrow"], id="no time"),
        pytest.param(["--expires", "2030-01-01T00:00:00"], id="no zone"),
        pytest.param(["--version", "-1"], id="negative"),
        pytest.param(["--version", str(1 << 63)], id="too high"),
    ],
)
def test_wrong_validity_is_refused_before_anything_is_written(source, key_of, flags):
    with pytest.raises(SystemExit):
        main(["sign", "src", "--signing-key", key_of("RS256")[0], *flags])
    assert not os.path.exists(".signatures.json")


def test_claims_that_no_agent_would_take_are_refused(source, key_of, tmp_path, capsys):
    (tmp_path / "claims.json").write_text('{"exp": "soon"}')
    sign = ["sign", "src", "--signing-key", key_of("RS256")[0], "--claims-file", "claims.json"]
    assert main(sign) == 1
    assert "claims.json: exp must be a number" in capsys.readouterr().err


def test_signatures_of_several_signers_stand_side_by_side(source, tmp_path, capsys):
    for name in ("one", "two"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"keyid": name}))
        sign = ["sign", "src", "-o", "src", "--signing-alg", "HS256", "--signing-key", name * 9]
        assert main([*sign, "--claims-file", f"{name}.json", "--add"]) == 0
    assert len(json.loads((source / ".signatures.json").read_bytes())["signatures"]) == 2
    for name in ("one", "two"):
        verify = ["verify", "src", "--signing-alg", "HS256", "--verification-key", name * 9]
        assert main([*verify, "--verification-key-id", name, "-f", "json"]) == 0
        assert json.loads(capsys.readouterr().out)["keyid"] == name
