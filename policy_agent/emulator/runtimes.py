"""Which runtime a function needs, by its files.

A file `bootstrap` is a runtime of its own, as with Lambda's `provided` ones; a handler in a `.mjs`,
`.cjs` or `.js` file runs under Node.js; any other under AWS's Python client.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from policy_agent.emulator.settings import LambdaSettings
from policy_agent.errors import EmulatorError

NODE_SUFFIXES = (".mjs", ".cjs", ".js")
_NODE_CLIENT = Path(__file__).with_name("node_runtime.mjs")


def other_runtime(settings: LambdaSettings) -> tuple[str, ...] | None:
    """Return the command that runs a function that is not written in Python, None for Python.

    Raises:
        EmulatorError: Node.js is not installed, or `bootstrap` cannot be executed.
    """
    bootstrap = settings.function_dir / "bootstrap"
    if bootstrap.is_file():
        if not bootstrap.stat().st_mode & 0o100:
            msg = f"{bootstrap}: is not executable"
            raise EmulatorError(msg)
        return (str(bootstrap),)
    module = settings.handler.rpartition(".")[0]
    if not any((settings.function_dir / (module + end)).is_file() for end in NODE_SUFFIXES):
        return None
    node = shutil.which("node")
    if node is None:
        msg = f"handler {settings.handler}: needs node on the PATH"
        raise EmulatorError(msg)
    return (node, str(_NODE_CLIENT))


def other_variables(command: tuple[str, ...], settings: LambdaSettings) -> dict[str, str]:
    """Return what the function's environment has other than for Python."""
    variables = {"AWS_EXECUTION_ENV": ""}
    if str(_NODE_CLIENT) in command:
        variables["AWS_EXECUTION_ENV"] = "AWS_Lambda_nodejs22.x"
        if settings.layer_dir is not None:
            variables["NODE_PATH"] = str(settings.layer_dir / "nodejs" / "node_modules")
    return variables
