import base64
import hmac
import json
from pathlib import Path

import pytest

from policy_agent.cli import main
from policy_agent.publisher.archive import pack
from policy_agent.publisher.bundle_files import read_bundle_files
from tests.bundle.signing import write_key_pair


@pytest.fixture
def signed(tmp_path, monkeypatch, key_of):
    """The name of a signed archive in the current directory."""
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "src"
    (source / "app").mkdir(parents=True)
    (source / "app" / "p.rego").write_text("package app\n\nallow := true\n")
    (source / "app" / "data.json").write_text('{"n": 1e2}')
    (tmp_path / "claims.json").write_text('{"scope": "write"}')
    private = key_of("RS256")[0]
    sign = ["sign", "src", "-o", "src", "--signing-key", private, "--claims-file", "claims.json"]
    assert main(sign) == 0
    Path("signed.tar.gz").write_bytes(pack(read_bundle_files(source)))
    return "signed.tar.gz"


@pytest.fixture
def key(key_of):
    return ["--verification-key", key_of("RS256")[1]]


def test_the_signer_is_named(signed, key, capsys):
    assert main(["verify", "-b", signed, *key, "--scope", "write"]) == 0
    assert capsys.readouterr().out == (
        "signed.tar.gz: verified\nalgorithm: RS256\nkeyid: none\nscope: write\nfiles: 2\n"
    )


def changed(path: str, change: dict[str, bytes | None]) -> str:
    files = read_bundle_files(Path(path)) | change
    kept = {name: content for name, content in files.items() if content is not None}
    Path("changed.tar.gz").write_bytes(pack(kept))
    return "changed.tar.gz"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param(
            {"app/p.rego": b"package app\n\nallow := false\n"},
            "app/p.rego: digest mismatch",
            id="tampered",
        ),
        pytest.param(
            {"app/data.json": b'{"n": 100}'}, "app/data.json: digest mismatch", id="tampered data"
        ),
        pytest.param(
            {"app/q.rego": b"package app\n"},
            "file app/q.rego not included in bundle signature",
            id="added",
        ),
        pytest.param(
            {"app/p.rego": None},
            "file(s) [app/p.rego] specified in bundle signatures but not found",
            id="removed",
        ),
        pytest.param(
            {".signatures.json": None}, "bundle missing .signatures.json file", id="unsigned"
        ),
    ],
)
def test_a_changed_bundle_is_refused_and_the_file_named(signed, key, capsys, change, problem):
    path = changed(signed, change)
    assert main(["verify", path, *key, "--scope", "write"]) == 1
    assert problem in capsys.readouterr().err
    assert main(["verify", path, *key, "--scope", "write", "--format", "json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["verified"] is False
    assert problem in answer["error"]


@pytest.mark.parametrize("scope", [pytest.param([], id="none"), ["--scope", "read"]])
def test_another_scope_is_refused(signed, key, capsys, scope):
    assert main(["verify", signed, *key, *scope]) == 1
    assert capsys.readouterr().err == "policy-agent verify: error: scope mismatch\n"


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        pytest.param(["--signing-alg", "RS512"], "failed to verify JWT signature", id="algorithm"),
        pytest.param(["--signing-alg", "ES256"], "cannot be used with ES256", id="family"),
        pytest.param(
            ["--signing-alg", "HS256"],
            "--verification-key: HS256 needs a secret, not a key in PEM or an empty file",
            id="public key as the secret",
        ),
    ],
)
def test_another_algorithm_is_refused(signed, key, capsys, flags, problem):
    assert main(["verify", signed, *key, "--scope", "write", *flags]) == 1
    assert problem in capsys.readouterr().err


def test_another_key_is_refused(signed, tmp_path, capsys):
    (tmp_path / "other.pem").write_text(write_key_pair(tmp_path, "RS256")[1])
    assert main(["verify", signed, "--verification-key", "other.pem", "--scope", "write"]) == 1
    assert "failed to verify JWT signature" in capsys.readouterr().err


@pytest.mark.parametrize("algorithm", ["HS256", "none"])
def test_a_token_cannot_choose_how_it_is_checked(signed, key, capsys, algorithm):
    """HS256 with the public key as the secret, and no signature at all."""
    files = read_bundle_files(Path(signed))
    payload = json.loads(files[".signatures.json"])["signatures"][0].split(".")[1]
    header = json.dumps({"alg": algorithm, "typ": "JWT"}).encode()
    message = f"{base64.urlsafe_b64encode(header).decode().rstrip('=')}.{payload}"
    signature = hmac.digest(Path(key[1]).read_bytes(), message.encode(), "sha256")
    if algorithm == "none":
        signature = b""
    token = f"{message}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"
    path = changed(signed, {".signatures.json": json.dumps({"signatures": [token]}).encode()})
    assert main(["verify", path, *key, "--scope", "write"]) == 1
    assert "failed to verify JWT signature" in capsys.readouterr().err


def test_excluded_files_need_not_be_signed(signed, key, capsys):
    path = changed(signed, {"app/q.rego": b"package app\n", "notes.md": b"", "more.md": b""})
    verify = ["verify", path, *key, "--scope", "write"]
    assert main([*verify, "--exclude-files-verify", "app/q.rego"]) == 1
    assert "not included" in capsys.readouterr().err
    exclude = ["--exclude-files-verify", "app/q.rego,notes.md", "--exclude-files-verify", "more.*"]
    assert main([*verify, *exclude]) == 0


def test_what_cannot_be_read_is_refused_in_both_formats(tmp_path, key, capsys):
    path = str(tmp_path / "nowhere.tar.gz")
    assert main(["verify", path, *key]) == 1
    assert "nowhere.tar.gz: no such file or directory" in capsys.readouterr().err
    assert main(["verify", path, *key, "-f", "json"]) == 1
    assert json.loads(capsys.readouterr().out)["verified"] is False
