"""Lay out a layer's files, which Lambda unpacks below `/opt`.

    extensions/policy-agent        the launcher
    policy-agent/python3.11/       the agent with its dependencies
    policy-agent/interpreter/      in a standalone layer: Python, with the libraries it needs
    python/policy_agent/client/    what Python functions import

`/opt` is read-only: byte code that is not in the layer would be compiled at every cold start.
"""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path

from layer.debian_python import DebianPython
from layer.dependencies import install_dependencies

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "policy_agent"
LEFT_OUT_FOLDERS = (
    *("auditor", "client", "demo", "doctor", "emulator", "publisher", "second_opinion"),
    "__pycache__",
)


def build_tree(
    tree: Path,
    architecture: str,
    version: str,
    compiler: list[str],
    carried: DebianPython | None = None,
) -> None:
    """Lay out the layer's files below `tree`.

    Args:
        version: of Python, such as `3.11`.
        compiler: a command that starts that version on this machine.
        carried: the interpreter that a standalone layer brings.
    """
    home = tree / "policy-agent"
    library = home / f"python{version}"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    install_dependencies(library, project["dependencies"], architecture, version)
    ignore = shutil.ignore_patterns(*LEFT_OUT_FOLDERS)
    shutil.copytree(PACKAGE, library / PACKAGE.name, ignore=ignore)
    if carried is not None:
        carried.copy_to(home / "interpreter", serving=library)
    compile_byte_code(home, compiler)
    client = tree / "python" / PACKAGE.name
    shutil.copytree(PACKAGE / "client", client / "client", ignore=ignore)
    shutil.copy(PACKAGE / "__init__.py", client)
    shutil.copytree(ROOT / "layer" / "extensions", tree / "extensions")
    (tree / "extensions" / "policy-agent").chmod(0o755)


def compile_byte_code(folder: Path, compiler: list[str]) -> None:
    """Compile every module below `folder`, marked as never changing."""
    command = [*compiler, "-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    # The paths in tracebacks are those below /opt.
    subprocess.run([*command, "-s", str(folder.parent), "-p", "/opt", str(folder)], check=True)
