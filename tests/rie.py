"""AWS's own Runtime Interface Emulator, which ships in the wheel of aws-sam-cli.

It insists on `/opt/extensions` and, for Managed Instances, on `/var/runtime` and `/var/task`, so it
runs in a mount namespace of its own, which needs root.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

WHEEL = "aws-sam-cli==1.170.0"
CACHE = Path(__file__).parents[1] / "build" / "rie"
START_SECONDS = 15
INVOKE = "/2015-03-31/functions/function/invocations"


def program() -> Path:
    """The emulator's program, fetched once; the test is skipped where it cannot be run."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("a mount namespace needs root and unshare")
    path = CACHE / "aws-lambda-rie"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", WHEEL]
        command += ["--disable-pip-version-check", "--dest", str(CACHE)]
        if subprocess.run(command, check=False).returncode != 0:
            pytest.skip(f"{WHEEL} cannot be had")
        architecture = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
        [wheel] = CACHE.glob("aws_sam_cli-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            data = archive.read(f"samcli/local/rapid/aws-lambda-rie-{architecture}")
        wheel.unlink()
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_bytes(data)
        fresh.chmod(0o755)
        fresh.replace(path)
    return path


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


class Rie:
    """A running emulator; `log` is what it and the processes it started have written."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log_file: Path) -> None:
        self._process = process
        self._port = port
        self._log_file = log_file

    @property
    def log(self) -> str:
        return self._log_file.read_text(errors="replace")

    def invoke(self, payload: Any) -> Any:
        """Invoke the function and return its answer, decoded."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        headers = {"Content-Type": "application/json"}
        connection.request("POST", INVOKE, json.dumps(payload), headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert answer.status == 200, (answer.status, body, self.log)
        return json.loads(body)

    def spin_down(self) -> None:
        """End it as Lambda ends an environment: SHUTDOWN to the extensions, 2 s."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(10)


@contextlib.contextmanager
def emulator(
    layer: Path,
    scratch: Path,
    *,
    mounts: Mapping[str, Path] = {},
    command: list[str],
    cwd: Path,
    environment: Mapping[str, str],
) -> Iterator[Rie]:
    """Run the emulator with `layer` at /opt.

    Args:
        mounts: further folders by where they are seen; their parents are made anew.
        command: starts the runtime.
    """
    rie = program()
    api, port = free_port(), free_port()
    log_file = scratch / "rie.log"
    steps = [f"mount --bind {layer} /opt"]
    if mounts:
        steps.append("mount -t tmpfs tmpfs /var")
    for target, folder in mounts.items():
        steps.append(f"mkdir -p {target} && mount --bind {folder} {target}")
    enter = ["unshare", "--mount", "sh", "-c", " && ".join([*steps, 'exec "$@"']), "sh"]
    own = ["--runtime-api-address", f"127.0.0.1:{api}"]
    own += ["--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [*enter, str(rie), *own, *command],
            cwd=cwd,
            env={"PATH": os.environ["PATH"], **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_for(port, process, log_file)
        yield Rie(process, port, log_file)
    finally:
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
        if process.poll() is None:
            process.kill()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], log_file: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log_file.read_text(errors="replace")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise AssertionError(log_file.read_text(errors="replace"))
