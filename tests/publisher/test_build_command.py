import json
import subprocess
from pathlib import Path

import pytest

from policy_agent.bundle.reader import read_bundle
from policy_agent.cli import main
from tests.support import OPA, needs_opa

ORDERS = Path(__file__).parents[2] / "bundles" / "orders"


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "p.rego").write_text("package p\n\nallow if input.x == 1\n")
    return tmp_path / "src"


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["-r", "r1", "-o", "out.tar.gz"], id="short"),
        pytest.param(["-b", "--revision", "r1", "--output", "out.tar.gz"], id="long"),
    ],
)
def test_a_bundle_is_written_that_an_agent_reads(source, arguments):
    assert main(["build", "src", *arguments]) == 0
    bundle = read_bundle("p", Path("out.tar.gz").read_bytes())
    assert bundle.manifest.revision == "r1"
    assert list(bundle.modules) == ["p.rego"]


def test_building_twice_gives_equal_files(source):
    assert main(["build", "src", "-o", "one.tar.gz"]) == 0
    assert main(["build", "src", "-o", "two.tar.gz"]) == 0
    assert Path("one.tar.gz").read_bytes() == Path("two.tar.gz").read_bytes()


def test_the_default_output_is_opas_and_is_replaced_whole(source):
    assert main(["build", "src"]) == 0
    first = Path("bundle.tar.gz").stat()
    assert main(["build", "src"]) == 0
    assert Path("bundle.tar.gz").stat().st_ino != first.st_ino
    assert sorted(path.name for path in Path().iterdir()) == ["bundle.tar.gz", "src"]


@pytest.mark.parametrize(
    ("arguments", "entrypoints"),
    [
        pytest.param([], ["", "p", "p/allow"], id="every document"),
        pytest.param(["-t", "plan", "-e", "p/allow"], ["p/allow"], id="chosen"),
        pytest.param(["--target", "rego"], None, id="sources only"),
    ],
)
def test_the_bundle_holds_a_plan_of_what_may_be_asked(source, arguments, entrypoints):
    (source / "plan.json").write_text("of the source, not of what is built")
    assert main(["build", "src", *arguments]) == 0
    plan = read_bundle("p", Path("bundle.tar.gz").read_bytes()).plan
    names = [entry["name"] for entry in json.loads(plan)["plans"]["plans"]] if plan else None
    assert names == entrypoints


@pytest.mark.opa
@pytest.mark.skipif(OPA is None, reason="no opa: set OPA_BIN or put it on the PATH")
@pytest.mark.parametrize(
    ("arguments", "manifest"),
    [
        pytest.param(["--v0-compatible"], {}, id="by the flag"),
        pytest.param(["--v0-compatible"], {"rego_version": 1}, id="the manifest prevails"),
        pytest.param([], {"rego_version": 0}, id="by the manifest"),
        pytest.param([], {"file_rego_versions": {"/p.*": 0}}, id="by file"),
        pytest.param([], {}, id="not said"),
    ],
)
def test_rego_v0_is_built_as_opa_builds_it(source, arguments, manifest):
    (source / "p.rego").write_text("package p\n\nallow { input.x == 1 }\n")
    (source / ".manifest").write_text(json.dumps(manifest))
    command = [OPA, "build", "-b", "src", "-o", "theirs.tar.gz", *arguments]
    theirs = subprocess.run(command, capture_output=True, check=False).returncode
    assert main(["build", "src", *arguments]) == theirs
    if theirs == 0:
        for archive in ("bundle.tar.gz", "theirs.tar.gz"):
            bundle = read_bundle("p", Path(archive).read_bytes())
            assert list(bundle.rego_versions.values()) == [0]


def test_an_entry_point_that_is_none_is_refused(source, capsys):
    assert main(["build", "src", "-e", "p/none"]) == 1
    assert '"p/none" does not refer to a rule or policy decision' in capsys.readouterr().err
    assert not Path("bundle.tar.gz").exists()


def test_every_problem_is_listed_with_its_place_and_nothing_is_written(source, capsys):
    (source / "a.rego").write_text("package a\n\nallow if no_such_function(1)\n")
    (source / "b.rego").write_text("package b\n\ndeny if nor_this_one(1)\n")
    assert main(["build", "src"]) == 1
    assert capsys.readouterr().err == (
        "policy-agent build: error: "
        "src/a.rego:3: rego_type_error: undefined function no_such_function\n"
        "src/b.rego:3: rego_type_error: undefined function nor_this_one\n"
    )
    assert not Path("bundle.tar.gz").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["nowhere"], "nowhere: no such file or directory", id="no source"),
        pytest.param(
            ["src", "-o", "no/where"], "no/where: cannot be written: No such", id="output"
        ),
        pytest.param(
            ["src", "-o", "src"], "src: cannot be written: Is a directory", id="directory"
        ),
    ],
)
def test_paths_that_cannot_be_used_end_with_a_sentence(source, capsys, arguments, sentence):
    assert main(["build", *arguments]) == 1
    assert sentence in capsys.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["src"]


def opa(*arguments: str) -> str:
    command = [str(OPA), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


class TestBesideOpa:
    pytestmark = needs_opa

    @pytest.fixture
    def archive(self, tmp_path):
        archive = tmp_path / "orders.tar.gz"
        assert main(["build", str(ORDERS), "-r", "r7", "-o", str(archive)]) == 0
        return str(archive)

    def test_opa_inspects_it(self, archive):
        report = json.loads(opa("inspect", "-f", "json", archive))
        assert report["manifest"]["revision"] == "r7"
        assert report["manifest"]["roots"] == ["orders"]
        assert report["namespaces"]["data.orders.authz"] == ["orders/authz.rego"]
        assert report["namespaces"]["data.orders"] == ["orders/data.json"]

    def test_opa_evaluates_it(self, archive):
        value = opa("eval", "-b", archive, "-f", "raw", "data.orders.authz.decision.allow")
        assert value.strip() == "false"
        assert opa("eval", "-b", archive, "-f", "raw", "data.orders.refunds.limit").strip() == "500"

    def test_opa_runs_its_tests(self, archive):
        assert opa("test", "-b", archive).startswith("PASS: ")


def test_an_entrypoint_that_is_none_is_named(tmp_path, capsys):
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.rego").write_text("package a\n\np := 1\n")
    output = str(tmp_path / "b.tar.gz")
    assert main(["build", str(source), "-e", "a/nope", "-o", output]) == 1
    error = 'error: entrypoint "a/nope" does not refer to a rule or policy decision\n'
    assert capsys.readouterr().err.endswith(error)
