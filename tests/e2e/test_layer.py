import shutil
import stat
import subprocess
import sys
import zipfile

import pytest

pytestmark = pytest.mark.e2e

# Budgets: counts that do not depend on how fast the machine is. Raise one only for a reason.
MAX_ZIP_BYTES = 17_000_000
MAX_UNPACKED_BYTES = 52_000_000
MAX_OWN_MODULES_AT_INIT = 140
MAX_MODULES_AT_INIT = 320
MAX_INSTRUCTIONS_AT_INIT = 360_000_000
# As the bootstrap does it.
IMPORT = (
    "import gc, sys; gc.disable(); sys.path.insert(0, sys.argv[1]);"
    "from policy_agent.lifecycle.lean_imports import import_event_loop; import_event_loop();"
    "import policy_agent.extension;"
)


def test_the_launcher_is_executable_with_unix_line_ends(layer_zip):
    with zipfile.ZipFile(layer_zip) as archive:
        entry = archive.getinfo("extensions/policy-agent")
        assert stat.S_IMODE(entry.external_attr >> 16) == 0o755
        assert b"\r" not in archive.read(entry)
        assert [name for name in archive.namelist() if name.startswith("extensions/")] == [
            "extensions/policy-agent"
        ]


def test_functions_find_the_client_and_nothing_of_the_agent(layer):
    names = {path.name for path in (layer / "python" / "policy_agent").iterdir()}
    assert names == {"__init__.py", "client"}


def test_every_module_is_compiled_ahead(layer):
    [library] = (layer / "policy-agent").iterdir()
    package = library / "policy_agent"
    for source in package.rglob("*.py"):
        assert list((source.parent / "__pycache__").glob(f"{source.stem}.*.pyc")), source


def test_the_agent_carries_no_tool_of_the_other_people(layer):
    [library] = (layer / "policy-agent").iterdir()
    for name in ("awslambdaric", "duckdb", "httpx", "pyiceberg", "regopy", "starlette", "uvicorn"):
        assert not (library / name).exists()
    for name in ("auditor", "client", "demo", "emulator", "publisher"):
        assert not (library / "policy_agent" / name).exists()


def test_the_layer_stays_small(layer_zip):
    with zipfile.ZipFile(layer_zip) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    assert layer_zip.stat().st_size < MAX_ZIP_BYTES
    assert unpacked < MAX_UNPACKED_BYTES


def test_init_imports_no_more_than_it_needs(layer):
    [library] = (layer / "policy-agent").iterdir()
    command = [sys.executable, "-I", "-S", "-c", f"{IMPORT}print(*sys.modules)", str(library)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    modules = done.stdout.split()
    assert len(modules) < MAX_MODULES_AT_INIT
    assert sum(name.startswith("policy_agent") for name in modules) < MAX_OWN_MODULES_AT_INIT


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind counts instructions")
def test_init_executes_no_more_instructions_than_it_needs(layer, tmp_path):
    [library] = (layer / "policy-agent").iterdir()
    profile = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={tmp_path / 'profile'}"]
    command = [*profile, sys.executable, "-I", "-S", "-c", IMPORT, str(library)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    [line] = [line for line in done.stderr.splitlines() if "Collected" in line]
    assert int(line.split(":")[1]) < MAX_INSTRUCTIONS_AT_INIT
