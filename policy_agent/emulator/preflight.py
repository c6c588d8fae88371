"""Check what a local Lambda was given before anything is started."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from policy_agent.emulator.settings import LambdaSettings
from policy_agent.errors import EmulatorError

# Exit status 3 is ours: an interpreter that cannot start ends with 1 or 2.
_PROBE = """
import importlib.util, sys
print("%d.%d" % sys.version_info[:2])
sys.exit(0 if importlib.util.find_spec("awslambdaric") else 3)
"""


def check_files(settings: LambdaSettings, *, is_python: bool = True) -> None:
    """Check the directories and, of a function in Python, the handler's module.

    Raises:
        EmulatorError: one is missing; the message names it.
    """
    if not settings.function_dir.is_dir():
        msg = f"{settings.function_dir}: no such function directory"
        raise EmulatorError(msg)
    if not is_python:
        return
    module, dot, _ = settings.handler.rpartition(".")
    if not dot or not module:
        msg = f"handler {settings.handler}: must be module.function"
        raise EmulatorError(msg)
    relative = module.replace(".", "/")
    candidates = [
        path / name
        for path in settings.python_path
        for name in (f"{relative}.py", f"{relative}/__init__.py")
    ]
    if not any(path.is_file() for path in candidates):
        msg = f"handler {settings.handler}: {candidates[0]} does not exist"
        raise EmulatorError(msg)


def extension_files(settings: LambdaSettings) -> list[Path]:
    """Return the files that are started as extensions: every regular file of `extensions/`.

    One that is not executable is included, because on Lambda it fails the Init.

    Raises:
        EmulatorError: the layer has no directory `extensions`.
    """
    if settings.layer_dir is None:
        return []
    directory = settings.layer_dir / "extensions"
    if not directory.is_dir():
        msg = f"{directory}: a layer with an extension needs this directory"
        raise EmulatorError(msg)
    return sorted(path for path in directory.iterdir() if path.is_file())


async def python_version(settings: LambdaSettings, environment: Mapping[str, str]) -> str:
    """Return the version of the function's interpreter, as `3.11`.

    Args:
        environment: the function's; awslambdaric may lie in its own directory.

    Raises:
        EmulatorError: the interpreter does not start or awslambdaric is not installed for it.
    """
    try:
        probe = await asyncio.create_subprocess_exec(
            *(settings.python, "-B", "-c", _PROBE),
            cwd=settings.function_dir,
            env=dict(environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        output, _ = await probe.communicate()
    except OSError as exc:
        msg = f"{settings.python}: cannot be executed: {exc.strerror}"
        raise EmulatorError(msg) from exc
    if probe.returncode == 3:
        msg = f"awslambdaric is not installed for {settings.python}: pip install awslambdaric"
        raise EmulatorError(msg)
    if probe.returncode != 0:
        msg = f"{settings.python}: is not a working Python interpreter"
        raise EmulatorError(msg)
    return output.decode().strip()
