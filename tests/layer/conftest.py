"""A stand-in for AWS that many use and check: moto's server, as a process of its own."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support import wait_until


@pytest.fixture(scope="session")
def aws(tmp_path_factory):
    """The address of a fresh account, which has the IAM policies that AWS manages."""
    program = Path(sys.executable).with_name("moto_server")
    if not program.exists():
        pytest.skip("needs policy-agent[infrastructure]")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    log = tmp_path_factory.mktemp("moto") / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [program, "-H", "127.0.0.1", "-p", str(port)],
            env={**os.environ, "MOTO_IAM_LOAD_MANAGED_POLICIES": "true"},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: answers(url))
        yield url
    finally:
        process.terminate()
        process.wait()


def answers(url):
    try:
        return httpx.get(f"{url}/moto-api/").status_code == 200
    except httpx.TransportError:
        return False
