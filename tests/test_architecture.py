"""The import arrows of the layout, held by reading every module's imports."""

import ast
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "policy_agent"
FLOOR = {
    *(
        "__init__",
        "audit_chain",
        "codec",
        "errors",
        "garbage",
        "glob_pattern",
        "http_call",
        "http_client",
    ),
    *(
        "late_json",
        "logs",
        "model",
        "own_cost",
        "record",
        "number",
        "service",
        "status",
        "status_report",
        "trace_context",
        "yaml_loader",
    ),
}
FLOOR_FOLDERS = {"config", "credentials"}
# Folder -> the folders it may import besides itself and the floor.
ARROWS = {
    "auditor": set(),
    "bundle": set(),
    "client": set(),
    "decision": set(),
    "decision_log": set(),
    "doctor": {"bundle", "rego"},
    "demo": {"auditor", "client", "emulator", "publisher"},
    "emulator": set(),
    "lifecycle": set(),
    "publisher": {"bundle", "rego"},
    "rego": {"bundle"},
    "server": {"decision"},
}
# The modules above the folders: they put the parts together.
ROOTS = {
    "agent",
    "cli",
    "discovery",
    "explaining",
    "extension",
    "listening",
    "overview",
    "periodic",
    "run_command",
    "sidecar",
}


def place_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported_places(path: Path) -> set[str]:
    places = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package == "policy_agent":
                places.add(rest.partition(".")[0])
    above_the_floor = {place for place in places if (PACKAGE / place).is_dir()} - FLOOR_FOLDERS
    return above_the_floor | places & ROOTS


def test_every_folder_has_its_arrows():
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert folders == set(ARROWS) | FLOOR_FOLDERS
    modules = {path.stem for path in PACKAGE.glob("*.py")}
    assert modules == FLOOR | ROOTS


def test_imports_only_go_down():
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        place = place_of(path)
        if place in ROOTS:
            continue
        allowed = ARROWS.get(place, set()) | ({place} if place in ARROWS else set())
        name = path.relative_to(PACKAGE)
        wrong += [f"{name} imports {imported}" for imported in imported_places(path) - allowed]
    # What register must not wait for is imported after it, by the same short program.
    assert wrong == ["lifecycle/bootstrap.py imports extension"]


def modules_after(code: str) -> set[str]:
    script = f"import sys; {code}; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=PACKAGE.parent,
    )
    return set(result.stdout.split())


def test_the_agent_imports_nothing_that_init_does_not_need():
    loaded = modules_after("import policy_agent.extension")
    heavy = {"cryptography", "duckdb", "httpx", "jwt", "pyarrow", "pyiceberg", "regopy",
             "starlette", "uvicorn", "yaml"}  # fmt: skip
    assert loaded & heavy == set()
    assert not {name for name in loaded if name.startswith(
        ("policy_agent.auditor", "policy_agent.emulator", "policy_agent.publisher"))}  # fmt: skip
    # What only some configurations ask for.
    assert not loaded & {"policy_agent.config.aws", "policy_agent.config.credentials",
                         "policy_agent.bundle.oci", "configparser", "xml.etree"}  # fmt: skip


COMPILER = ("policy_agent.rego.ast", "policy_agent.rego.check", "policy_agent.rego.compile",
            "policy_agent.rego.parse", "policy_agent.rego.planner")  # fmt: skip


def test_the_agent_loads_the_compiler_only_to_compile():
    loaded = modules_after("import policy_agent.extension")
    assert not {name for name in loaded if name.startswith((*COMPILER, "policy_agent.rego.plan"))}
    ready = modules_after("import policy_agent.rego.ready")
    assert not {name for name in ready if name.startswith(COMPILER)}


def test_registering_imports_next_to_nothing():
    before = modules_after("pass")
    loaded = modules_after("import policy_agent.lifecycle.bootstrap") - before
    own = {"policy_agent", "policy_agent.lifecycle", "policy_agent.lifecycle.bootstrap"}
    assert loaded - own <= {"_socket", "__future__"}


def test_the_command_line_imports_a_folder_only_when_it_is_called():
    loaded = modules_after("import policy_agent.cli")
    assert {name for name in loaded if name.startswith("policy_agent.")} == {
        "policy_agent.cli",
        "policy_agent.errors",
    }
