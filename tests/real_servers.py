"""Servers that others wrote, run as processes: S3, STS and ECR, OCI registries, nginx.

A program that is not there skips the test, saying which; `.ci/run` installs them all.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from policy_agent.http_client import Limits, Request, Response, send

_START_SECONDS = 30
_GO_BIN = Path(os.environ.get("GOPATH", Path.home() / "go")) / "bin"


def program(name: str, *places: str) -> str:
    """Return the path of a program, or skip the test."""
    path = shutil.which(name, path=os.pathsep.join((os.environ["PATH"], str(_GO_BIN), *places)))
    if path is None:
        pytest.skip(f"no {name}: .ci/run installs it")
    return path


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(command: list[str], port: int, directory: Path, **environ: str) -> Iterator[None]:
    """Run a server until it is no longer needed; its output goes to `<directory>/server.log`."""
    with open(directory / "server.log", "wb") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            cwd=directory,
            env={**os.environ, **environ},
            start_new_session=True,
        )
    try:
        _wait(process, port, directory)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, directory: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError((directory / "server.log").read_text("utf-8", "replace")[-2000:])
        time.sleep(0.02)


def use_aws_keys(monkeypatch: pytest.MonkeyPatch, access_key: str, secret_key: str) -> None:
    """Let the environment have these credentials, in us-east-1 and without a session."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret_key)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)


@contextlib.contextmanager
def moto(directory: Path) -> Iterator[str]:
    """AWS's services as moto imitates them; yields the URL of all."""
    pytest.importorskip("moto", reason="no moto: it is among the development dependencies")
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with running(command, port, directory):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def versitygw(directory: Path, access_key: str, secret_key: str) -> Iterator[str]:
    """An S3 server that checks signatures as AWS does."""
    port = free_port()
    (directory / "buckets").mkdir(exist_ok=True)
    command = [program("versitygw"), "--port", f"127.0.0.1:{port}", "--quiet", "posix", "buckets"]
    keys = {"ROOT_ACCESS_KEY_ID": access_key, "ROOT_SECRET_ACCESS_KEY": secret_key}
    with running(command, port, directory, **keys):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def nginx(directory: Path, servers: str) -> Iterator[None]:
    """Serve `<directory>/www` and whatever else `servers` says, in nginx's own words.

    Args:
        servers: `server { … }` blocks; the first one's port is waited for.
    """
    (directory / "www").mkdir(exist_ok=True)
    port = int(servers.partition("listen 127.0.0.1:")[2].partition(";")[0].split()[0])
    # Only root may say whose files are served; others serve their own.
    user = "user root; " if os.geteuid() == 0 else ""
    (directory / "nginx.conf").write_text(
        f"{user}daemon off; pid {directory}/pid; error_log stderr; worker_processes 1;\n"
        "events { worker_connections 1024; }\n"
        f"http {{ access_log {directory}/access.log; root {directory}/www;\n"
        f"client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;\n"
        f"fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u;\n"
        f"scgi_temp_path {directory}/s; default_type application/gzip;\n"
        f"{servers}\n}}\n"
    )
    command = [program("nginx", "/usr/sbin"), "-c", str(directory / "nginx.conf")]
    command += ["-p", str(directory), "-e", "stderr"]
    with running(command, port, directory):
        yield


def exchange(
    method: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> Response:
    """Send one request, as the publisher's tools would."""
    return asyncio.run(send(Request(method, url, headers or {}, body), Limits(10, 1 << 20)))
