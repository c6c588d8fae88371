"""Build the Lambda layer: `dist/policy-agent-layer-<architecture>.zip`.

The zip holds the launcher (`extensions/policy-agent`), the agent with its dependencies in a folder
named after the Python version (`policy-agent/python3.11`), and the function-side client (`python/`,
which Lambda puts on the path of Python functions). Wheels are chosen by platform tag, so one
architecture builds for the other. Byte code is compiled ahead, because `/opt` is read-only.
"""

from __future__ import annotations

import argparse
import compileall
import py_compile
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "policy_agent"
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
# Dependencies of the publisher's and the developer's side; the agent imports none of them.
LEFT_OUT_DEPENDENCIES = ("httpx", "regopy", "starlette")
LEFT_OUT_FOLDERS = (
    *("auditor", "client", "demo", "emulator", "publisher", "second_opinion", "__pycache__"),
)
# Sources of compiled modules, which nothing reads at run time.
LEFT_OUT_SUFFIXES = (".c", ".h", ".pxd", ".pyi", ".pyx")
AL2023_GLIBC_MINOR = 34
FIXED_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can hold; equal input, equal zip


def main() -> None:
    """Build the unpacked layer, then zip it."""
    parser = argparse.ArgumentParser(description="Build the Lambda layer.")
    parser.add_argument("--architecture", choices=("x86_64", "aarch64"), default="x86_64")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", metavar="DIR")
    arguments = parser.parse_args()
    tree = ROOT / "build" / f"layer-{arguments.architecture}"
    shutil.rmtree(tree, ignore_errors=True)
    build_tree(tree, arguments.architecture)
    archive = arguments.output / f"policy-agent-layer-{arguments.architecture}.zip"
    write_zip(tree, archive)
    unpacked = sum(file.stat().st_size for file in tree.rglob("*") if file.is_file())
    print(f"{archive}: {archive.stat().st_size / 1e6:.1f} MB, {unpacked / 1e6:.1f} MB unpacked")


def build_tree(tree: Path, architecture: str) -> None:
    """Lay out the layer's files below `tree`."""
    library = tree / "policy-agent" / PYTHON
    install_dependencies(library, architecture)
    ignore = shutil.ignore_patterns(*LEFT_OUT_FOLDERS)
    shutil.copytree(PACKAGE, library / PACKAGE.name, ignore=ignore)
    compileall.compile_dir(
        str(library),
        quiet=1,
        stripdir=str(tree),
        # The files never change after the build, so no run needs to compare dates.
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    client = tree / "python" / PACKAGE.name
    shutil.copytree(PACKAGE / "client", client / "client", ignore=ignore)
    shutil.copy(PACKAGE / "__init__.py", client)
    shutil.copytree(ROOT / "layer" / "extensions", tree / "extensions")


def install_dependencies(library: Path, architecture: str) -> None:
    """Install the agent's own dependencies for Amazon Linux 2023 into `library`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [
        line for line in project["dependencies"] if not line.startswith(LEFT_OUT_DEPENDENCIES)
    ]
    tags = [f"manylinux_2_{minor}_{architecture}" for minor in range(5, AL2023_GLIBC_MINOR + 1)]
    platforms = [f"--platform={tag}" for tag in (*tags, f"manylinux2014_{architecture}")]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"]
    command += ["--disable-pip-version-check", "--only-binary=:all:", f"--target={library}"]
    subprocess.run([*command, *platforms, *wanted], check=True)
    shutil.rmtree(library / "bin", ignore_errors=True)
    for file in library.rglob("*"):
        if file.suffix in LEFT_OUT_SUFFIXES:
            file.unlink()


def write_zip(tree: Path, archive: Path) -> None:
    """Zip `tree` with fixed dates, sorted names and the launcher's mode bits."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
        for file in sorted(path for path in tree.rglob("*") if path.is_file()):
            name = file.relative_to(tree)
            entry = zipfile.ZipInfo(name.as_posix(), FIXED_DATE)
            mode = 0o755 if name.parts[0] == "extensions" else 0o644
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(entry, file.read_bytes())


if __name__ == "__main__":
    main()
