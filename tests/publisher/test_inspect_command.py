import json
import subprocess
from pathlib import Path

import pytest

from policy_agent.cli import main
from policy_agent.model import JsonObject
from policy_agent.publisher.archive import pack
from policy_agent.publisher.bundle_files import read_bundle_files
from tests.support import OPA, needs_opa

LONG = "a_package_with_a_long_name/below_another_with_a_long_name/and_one_more"


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "src"
    for path, content in {
        ".manifest": json.dumps(
            {
                "revision": "a revision that is much longer than a table's cell may be",
                "roots": ["app", "acl", "x", LONG],
                "metadata": {"owner": "<team> & others"},
            }
        ),
        "app/p.rego": "package app\n\nallow := true\n",
        "app/q.rego": 'package app["x-y"].if\n\nallow := true\n',
        "app/data.json": '{"n": 1}',
        "x-y/r.rego": "package x\n",
        "acl/data.yaml": "a: 1\n",
        f"{LONG}/data.json": "{}",
        f"{LONG}/policy.rego": f"package {LONG.replace('/', '.')}\n",
    }.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text(content)
    return source


def test_an_archive_a_directory_and_a_module_are_inspected(source, tmp_path, capsys):
    (tmp_path / "src.tar.gz").write_bytes(pack(read_bundle_files(source)))
    files = []
    for path in ("src.tar.gz", "src", "src/app/p.rego"):
        assert main(["inspect", path, "-f", "json"]) == 0
        files.append(json.loads(capsys.readouterr().out)["namespaces"]["data.app"])
    assert files == [
        ["app/p.rego", "app/data.json"],
        ["src/app/p.rego", "src/app/data.json"],
        ["src/app/p.rego"],
    ]


@pytest.mark.parametrize("name", ["nowhere", "nowhere.rego"])
def test_what_is_not_there_ends_with_a_sentence(tmp_path, capsys, name):
    assert main(["inspect", str(tmp_path / name)]) == 1
    assert f"{name}: no such file or directory" in capsys.readouterr().err


def opa(*arguments: str) -> str:
    command = [str(OPA), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


class TestBesideOpa:
    pytestmark = needs_opa

    @pytest.fixture
    def path(self, request, source, key_of) -> str:
        private = key_of("RS256")[0]
        if request.param == "module":
            return "src/app/p.rego"
        if request.param == "our archive":
            assert main(["sign", "src", "-o", "src", "--signing-key", private]) == 0
            Path("ours.tar.gz").write_bytes(pack(read_bundle_files(source)))
            return "ours.tar.gz"
        if request.param == "their archive":
            opa("build", "-b", "src", "--signing-key", private, "-o", "theirs.tar.gz")
            return "theirs.tar.gz"
        if request.param == "wasm":
            opa("build", "-b", "src", "-t", "wasm", "-e", "app/allow", "-o", "wasm.tar.gz")
            return "wasm.tar.gz"
        return "src"

    @pytest.mark.parametrize(
        "path", ["directory", "our archive", "module", "their archive", "wasm"], indirect=True
    )
    def test_the_json_is_opas(self, path, capsys):
        theirs = json.loads(opa("inspect", "-f", "json", path))
        assert main(["inspect", "-f", "json", path]) == 0
        assert normalised(json.loads(capsys.readouterr().out)) == normalised(theirs)

    @pytest.mark.parametrize("path", ["directory", "our archive", "module"], indirect=True)
    def test_the_tables_are_opas(self, path, capsys):
        assert main(["inspect", path]) == 0
        assert capsys.readouterr().out == opa("inspect", path)


def normalised(info: JsonObject) -> JsonObject:
    """What both know: OPA's compiler adds capabilities, its archives' names begin with a slash."""
    info.pop("capabilities", None)
    for module in info.get("wasm_modules", []):
        module["path"] = module["path"].lstrip("/")
        module["url"] = module["url"].rpartition("/")[2]
    for resolver in info.get("manifest", {}).get("wasm", []):
        resolver["module"] = resolver["module"].lstrip("/")
    info["namespaces"] = {
        name: [path.lstrip("/") for path in paths] for name, paths in info["namespaces"].items()
    }
    return info
