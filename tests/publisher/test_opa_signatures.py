"""Bundles signed here verify in the real opa, and the other way round."""

import json
import subprocess
from pathlib import Path

import pytest

from policy_agent.cli import main
from policy_agent.config import ALGORITHMS
from policy_agent.publisher.archive import pack
from policy_agent.publisher.bundle_files import read_bundle_files
from tests.support import OPA, needs_opa

pytestmark = needs_opa

CLAIMS = {"scope": "write", "a<b>&": 'é "\u2028', "iat": 1700000000, "n": [1, True, None]}
FILES = {
    ".manifest": '{"roots": ["app"], "revision": "é<&>", "metadata": {"n": 1.50}}',
    "app.rego": "package app.top\n",
    "app/p.rego": "package app\n\nallow := true\n",
    "app/p&q.rego": "package app\n",
    "app/data.json": '{"e": 1E+2, "n": -0, "z": 1.0, "big": 12345678901234567890123, "u": "<é"}',
    "app/deep/data.yaml": "on: off\nn: [1, 2]\n",
    "notes.txt": "not policy\n",
}
ALL = [pytest.param(name, id=name) for name in sorted(ALGORITHMS)]


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path, content in FILES.items():
        (tmp_path / "src" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "src" / path).write_text(content)
    Path("claims.json").write_text(json.dumps(CLAIMS))
    Path("input.json").write_text("{}")
    return tmp_path / "src"


def opa(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [str(OPA), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30, cwd=cwd)


def complaint_of_opa(archive: str, *flags: str) -> str:
    """What OPA says against an archive's signature, "" when it accepts it."""
    result = opa("build", "-b", archive, "-o", "again.tar.gz", *flags)
    assert (result.returncode == 0) == (result.stdout == "")
    return result.stdout


def sign(*flags: str) -> str:
    """Sign the source and return the name of an archive of it."""
    assert main(["sign", "-b", "src", "-o", "src", *flags]) == 0
    Path("ours.tar.gz").write_bytes(pack(read_bundle_files(Path("src"))))
    return "ours.tar.gz"


@pytest.mark.parametrize("algorithm", ALL)
def test_what_is_signed_here_opa_verifies(source, key_of, algorithm):
    private, public = key_of(algorithm)
    flags = ["--signing-alg", algorithm]
    archive = sign("--signing-key", private, "--claims-file", "claims.json", *flags)
    verification = ["--verification-key", public, "--scope", "write", *flags]
    assert complaint_of_opa(archive, *verification) == ""


@pytest.mark.parametrize("algorithm", ALL)
def test_what_opa_signs_verifies_here(source, key_of, algorithm, capsys):
    private, public = key_of(algorithm)
    flags = ["--signing-alg", algorithm]
    built = opa("build", "-b", "src", "-o", "theirs.tar.gz", "--signing-key", private, *flags)
    assert built.returncode == 0, built.stderr
    verification = ["--verification-key", public, "-f", "json", *flags]
    assert main(["verify", "theirs.tar.gz", *verification]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["algorithm"], answer["keyid"]) == (algorithm, "default")


@pytest.mark.parametrize("claims", [pytest.param([], id="plain"), ["--claims-file", "claims.json"]])
@pytest.mark.parametrize("algorithm", ["RS256", "RS512", "HS256"])
def test_the_signature_file_is_opas_byte_for_byte(source, key_of, algorithm, claims, tmp_path):
    flags = ["--signing-key", key_of(algorithm)[0], "--signing-alg", algorithm, *claims]
    claims_from_source = [flag.replace("claims.json", "../claims.json") for flag in flags]
    theirs = opa("sign", "-b", ".", "-o", str(tmp_path), *claims_from_source, cwd=source)
    assert theirs.returncode == 0, theirs.stdout
    signed_by_opa = Path(".signatures.json").read_bytes()
    assert main(["sign", "src", *flags]) == 0
    assert Path(".signatures.json").read_bytes() == signed_by_opa


def test_an_agent_of_opas_decides_by_a_bundle_signed_here(source, key_of):
    private, public = key_of("ES256")
    flags = ["--signing-key", private, "--signing-alg", "ES256", "--claims-file", "claims.json"]
    archive = Path(sign(*flags)).resolve()

    def decide(scope: str) -> subprocess.CompletedProcess[str]:
        config = {
            "keys": {"k": {"key": Path(public).read_text(), "algorithm": "ES256"}},
            "bundles": {
                "b": {"resource": f"file://{archive}", "signing": {"keyid": "k", "scope": scope}}
            },
        }
        Path("opa.json").write_text(json.dumps(config))
        return opa(
            "exec", "--decision", "app/allow", "-c", "opa.json", "--timeout", "2s", "input.json"
        )

    assert json.loads(decide("write").stdout)["result"][0]["result"] is True
    assert "scope mismatch" in decide("read").stderr


@pytest.mark.parametrize(
    ("change", "flags"),
    [
        pytest.param({"app/p.rego": b"package app\n"}, [], id="tampered policy"),
        pytest.param(
            {"app/data.json": FILES["app/data.json"].replace("1.0", "1").encode()},
            [],
            id="another literal",
        ),
        pytest.param({"app/x.rego": b"package app\n"}, [], id="added"),
        pytest.param({"notes.txt": None}, [], id="removed"),
        pytest.param({".signatures.json": None}, [], id="unsigned"),
        pytest.param({}, ["--scope", "read"], id="scope"),
    ],
)
def test_what_opa_refuses_is_refused_here_in_the_same_words(source, key_of, change, flags, capsys):
    private, public = key_of("RS256")
    archive = sign("--signing-key", private)
    flags = ["--verification-key", public, *flags]
    files = read_bundle_files(Path(archive)) | change
    Path(archive).write_bytes(pack({name: raw for name, raw in files.items() if raw is not None}))
    assert main(["verify", archive, *flags]) == 1
    ours = capsys.readouterr().err.removeprefix("policy-agent verify: error: ")
    assert complaint_of_opa(archive, *flags) == f"error: load error: bundle {archive}: {ours}"


def test_another_key_is_refused_by_both(source, key_of):
    archive = sign("--signing-key", key_of("RS256")[0])
    flags = ["--signing-alg", "ES256", "--verification-key", key_of("ES256")[1]]
    assert main(["verify", archive, *flags]) == 1
    assert complaint_of_opa(archive, *flags) != ""
