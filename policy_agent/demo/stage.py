"""Start what stands around the function: publisher, bundle server, audit store, layer."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

from policy_agent.errors import EmulatorError
from policy_agent.model import JsonObject

READY_LINE = re.compile(r"listening on (http://\S+)")
STOP_SECONDS = 20
_CLI = (sys.executable, "-c", "from policy_agent.cli import main; raise SystemExit(main())")


class Server:
    """One `policy-agent` server process that says where it listens."""

    def __init__(self, *arguments: str) -> None:
        command = [*_CLI, *arguments]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)  # noqa: S603
        self.url = self._await_ready()

    def _await_ready(self) -> str:
        assert self._process.stderr is not None
        seen = []
        for line in self._process.stderr:
            seen.append(line)
            if match := READY_LINE.search(line):
                return match[1]
        self.stop()
        raise EmulatorError("a server did not start:\n" + "".join(seen))

    def stop(self) -> None:
        """Ask the process to finish (SIGTERM) and wait for it."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()


def run_cli(*arguments: str) -> str:
    """Run one `policy-agent` command and return what it printed.

    Raises:
        EmulatorError: it failed, with what it said.
    """
    result = subprocess.run(  # noqa: S603 - our own command
        [*_CLI, *arguments], capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        raise EmulatorError(f"policy-agent {' '.join(arguments)}: {result.stderr or result.stdout}")
    return result.stdout


def project_root() -> Path:
    """Return the checkout that holds bundles/, samples/ and dist/.

    Raises:
        EmulatorError: this is an installed package, which has none of them.
    """
    root = Path(__file__).parents[2]
    if not (root / "bundles" / "orders").is_dir():
        raise EmulatorError("the demo needs a checkout of the project: run `make demo` there")
    return root


def unzip_layer(archive: Path, target: Path) -> None:
    """Unzip a layer with its mode bits, as Lambda does below /opt.

    Raises:
        EmulatorError: it has not been built.
    """
    if not archive.is_file():
        raise EmulatorError(f"{archive} is missing: run `make layer`")
    with zipfile.ZipFile(archive) as layer:
        for entry in layer.infolist():
            path = layer.extract(entry, target)
            Path(path).chmod(entry.external_attr >> 16 & 0o777)


def publish(source: Path, served: Path, revision: str, new_grants: JsonObject) -> str:
    """Test a copy of `source` with more grants, build it, and put it where it is served.

    Args:
        new_grants: role -> what it may do, added to `orders/data.json`.

    Returns:
        The last line that `policy-agent test` printed.
    """
    work = served.parent / f"source-{revision}"
    shutil.copytree(source, work)
    file = work / "orders" / "data.json"
    data = json.loads(file.read_text("utf-8"))
    data["grants"] |= new_grants
    file.write_text(json.dumps(data), "utf-8")
    tested = run_cli("test", str(work))
    built = served.parent / f"orders-{revision}.tar.gz"
    run_cli("build", str(work), "--ignore", "*_test.rego", "-r", revision, "-o", str(built))
    # Replaced in one step, so that nobody downloads half of it.
    os.replace(built, served / "orders.tar.gz")
    return tested.splitlines()[-1]


def free_port() -> int:
    """Return a port of the loopback address that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def get_json(url: str) -> Any:
    """Fetch a JSON document from one of our own servers."""
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - http, on loopback
        return json.load(answer)
