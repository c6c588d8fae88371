import stat
import zipfile

import pytest

pytestmark = pytest.mark.e2e


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
