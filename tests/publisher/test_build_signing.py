import json
import subprocess
from pathlib import Path

import pytest

from policy_agent.bundle.reader import read_bundle
from policy_agent.cli import main
from policy_agent.config import Key, Signing
from tests.support import OPA, needs_opa

SECRET = "a shared secret"
HS256 = ["--signing-alg", "HS256"]
KEY = Key("default", SECRET, "HS256")


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "src"
    source.mkdir()
    (source / "p.rego").write_text("package p\n\nallow if input.x == 1\n")
    (source / "notes.md").write_text("not shipped\n")
    Path("claims.json").write_text('{"scope": "write"}')
    return source


def test_a_built_bundle_is_signed_for_the_named_key(source):
    sign = ["--signing-key", SECRET, *HS256, "--verification-key-id", "prod"]
    assert main(["build", "src", *sign]) == 0
    raw = Path("bundle.tar.gz").read_bytes()
    bundle = read_bundle("p", raw, signing=Signing(), keys={"prod": KEY})
    assert list(bundle.modules) == ["p.rego"]


def test_claims_say_who_signs_when_they_are_given(source, capsys):
    sign = ["--signing-key", SECRET, *HS256, "--claims-file", "claims.json"]
    assert main(["build", "src", *sign]) == 0
    verify = ["--verification-key", SECRET, *HS256, "--scope", "write", "-f", "json"]
    assert main(["verify", "bundle.tar.gz", *verify]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["keyid"], answer["scope"], answer["files"]) == ("", "write", 3)


def test_building_and_signing_twice_gives_equal_files(source, key_of):
    sign = ["--signing-key", key_of("ES256")[0], "--signing-alg", "ES256"]
    assert main(["build", "src", *sign, "-o", "one.tar.gz"]) == 0
    assert main(["build", "src", *sign, "-o", "two.tar.gz"]) == 0
    assert Path("one.tar.gz").read_bytes() == Path("two.tar.gz").read_bytes()


class TestSignedSource:
    @pytest.fixture(autouse=True)
    def sign_source(self, source):
        assert main(["sign", "src", "-o", "src", "--signing-key", SECRET, *HS256]) == 0

    def test_it_is_verified_and_signed_anew(self):
        flags = ["--verification-key", SECRET, "--signing-key", SECRET, *HS256]
        assert main(["build", "src", *flags]) == 0
        read_bundle("p", Path("bundle.tar.gz").read_bytes(), keys={"default": KEY})

    @pytest.mark.parametrize(
        ("flags", "problem"),
        [
            pytest.param([], "verification key not provided", id="no key"),
            pytest.param(
                [*HS256, "--verification-key", "other"], "failed to verify JWT", id="other key"
            ),
            pytest.param(
                [*HS256, "--verification-key", SECRET, "--scope", "read"],
                "scope mismatch",
                id="scope",
            ),
        ],
    )
    def test_it_is_refused_where_it_cannot_be_verified(self, capsys, flags, problem):
        assert main(["build", "src", *flags]) == 1
        assert problem in capsys.readouterr().err
        assert not Path("bundle.tar.gz").exists()

    def test_files_that_need_not_be_signed_are_named(self, source, capsys):
        (source / "more.md").touch()
        verify = ["build", "src", "--verification-key", SECRET, *HS256]
        assert main(verify) == 1
        assert "file more.md not included in bundle signature" in capsys.readouterr().err
        assert main([*verify, "--exclude-files-verify", "*.md"]) == 0


def test_an_unsigned_source_is_refused_where_a_signature_is_asked_for(source, capsys):
    assert main(["build", "src", "--verification-key", SECRET, *HS256]) == 1
    assert "bundle missing .signatures.json file" in capsys.readouterr().err


def test_claims_without_a_key_are_refused(source, capsys):
    assert main(["build", "src", "--claims-file", "claims.json"]) == 1
    assert "--claims-file: needs --signing-key" in capsys.readouterr().err


class TestBesideOpa:
    pytestmark = needs_opa

    @pytest.mark.parametrize("claims", [pytest.param([], id="plain"), ["--scope", "write"]])
    def test_opa_verifies_it(self, source, key_of, claims):
        private, public = key_of("RS256")
        extra = ["--claims-file", "claims.json"] if claims else []
        assert main(["build", "src", "--signing-key", private, *extra]) == 0
        command = [str(OPA), "build", "-b", "bundle.tar.gz", "-o", "again.tar.gz"]
        verification = ["--verification-key", public, *claims]
        subprocess.run([*command, *verification], check=True, timeout=30)
