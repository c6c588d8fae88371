"""Install the agent's dependencies for Amazon Linux 2023, whatever this machine is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from policy_agent.doctor.runtimes import AMAZON_LINUX_2023_GLIBC

# Dependencies of the publisher's and the developer's side; the agent imports none of them.
LEFT_OUT = ("httpx", "regopy", "starlette", "uvicorn")
# Sources of compiled modules, which nothing reads at run time.
LEFT_OUT_SUFFIXES = (".c", ".h", ".pxd", ".pyi", ".pyx")


def install_dependencies(
    library: Path, dependencies: list[str], architecture: str, version: str
) -> None:
    """Install wheels into `library`, chosen by platform tag and Python version."""
    wanted = [line for line in dependencies if not line.startswith(LEFT_OUT)]
    _, newest = AMAZON_LINUX_2023_GLIBC
    tags = [f"manylinux_2_{minor}_{architecture}" for minor in range(5, newest + 1)]
    platforms = [f"--platform={tag}" for tag in (*tags, f"manylinux2014_{architecture}")]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"]
    command += ["--disable-pip-version-check", "--only-binary=:all:", f"--target={library}"]
    command += ["--implementation=cp", f"--python-version={version}"]
    subprocess.run([*command, *platforms, *wanted], check=True)
    shutil.rmtree(library / "bin", ignore_errors=True)
    for file in library.rglob("*"):
        if file.suffix in LEFT_OUT_SUFFIXES:
            file.unlink()
