import io
import stat

import pytest

from tests.publisher.asking import opas, ours
from tests.support import needs_opa

UGLY = "package a\np:=1\n# note\nq if {p==1}\n"
TIDY = "package a\n\np := 1\n\n# note\nq if p == 1\n"
FILES = {
    "src/ugly.rego": UGLY,
    "src/tidy.rego": TIDY,
    "src/deep/more.rego": UGLY,
    "src/data.json": "{}",
    "broken.rego": "package a\n\np := {\n",
    "old.rego": "package a\n\np { 1 == 1 }\n\nq[x] { x := 1 }\n",
    "shadow.rego": "package a\n\nimport data.x\nimport data.y.x\n\np := x\n",
    "imports.rego": "package a\n\nimport rego.v1\nimport data.x\n\np := x\n",
}


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_file_is_printed_as_it_should_be(capsys):
    assert ours(capsys, "fmt", "src/ugly.rego") == (0, TIDY, "")


def test_files_are_overwritten_and_keep_their_mode(files, capsys):
    (files / "src/ugly.rego").chmod(0o640)
    assert ours(capsys, "fmt", "-w", "src") == (0, "", "")
    assert (files / "src/ugly.rego").read_text() == TIDY
    assert stat.S_IMODE((files / "src/ugly.rego").stat().st_mode) == 0o640
    assert (files / "src/deep/more.rego").read_text() == TIDY
    assert ours(capsys, "fmt", "-l", "--fail", "src") == (0, "", "")


def test_a_difference_is_shown_line_by_line(capsys):
    status, output, _ = ours(capsys, "fmt", "-d", "src/ugly.rego")
    assert status == 0
    assert output.startswith("--- src/ugly.rego\n+++ src/ugly.rego\n@@ ")
    assert "\n-p:=1\n" in output
    assert "\n+p := 1\n" in output


def test_what_is_refused_is_left_alone(files, capsys):
    status, output, error = ours(capsys, "fmt", "-w", "broken.rego")
    assert (status, output) == (2, "")
    assert "broken.rego:" in error
    assert (files / "broken.rego").read_text() == FILES["broken.rego"]


class TestBesideOpa:
    pytestmark = needs_opa

    @pytest.mark.parametrize(
        "arguments",
        [
            pytest.param(["src"], id="print"),
            pytest.param(["src/tidy.rego", "src/ugly.rego"], id="several"),
            pytest.param(["-l", "src"], id="list"),
            pytest.param(["-l", "--fail", "src"], id="list and fail"),
            pytest.param(["--fail", "src"], id="fail"),
            pytest.param(["--fail", "src/tidy.rego"], id="nothing to fail for"),
            pytest.param(["-d", "src/tidy.rego"], id="no difference"),
            pytest.param(["broken.rego"], id="syntax"),
            pytest.param(["shadow.rego"], id="no Rego v1"),
            pytest.param(["old.rego"], id="v0 as v1"),
            pytest.param(["--v0-compatible", "old.rego"], id="v0"),
            pytest.param(["--v0-v1", "old.rego"], id="v0 and v1"),
            pytest.param(["--rego-v1", "old.rego"], id="by its old name"),
            pytest.param(["--drop-v0-imports", "imports.rego"], id="imports"),
            pytest.param(["src/data.json"], id="no Rego"),
            pytest.param(["nowhere"], id="no file"),
        ],
    )
    def test_output_and_status_are_opas(self, capsys, arguments):
        assert ours(capsys, "fmt", *arguments) == opas("fmt", *arguments)

    def test_stdin_is_formatted_to_stdout(self, capsys, monkeypatch):
        monkeypatch.setattr("sys.stdin", io.StringIO(UGLY))
        assert ours(capsys, "fmt") == (0, TIDY, "")
