import contextlib
import fcntl
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from policy_agent.emulator.sandbox import LocalLambda
from policy_agent.emulator.settings import LambdaSettings
from tests.support import control_plane

ROOT = Path(__file__).parents[2]
FUNCTION = Path(__file__).parent / "function"


@pytest.fixture(scope="session")
def layer_zip(tmp_path_factory):
    """The layer as `make layer` builds it."""
    output = tmp_path_factory.mktemp("dist")
    architecture = os.uname().machine
    command = [sys.executable, "-m", "layer", "--output", str(output)]
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    # Tests run in several processes, which share the folder that a layer is laid out in.
    with (build / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run([*command, "--architecture", architecture], check=True, cwd=ROOT)
    [archive] = output.iterdir()
    return archive


@pytest.fixture(scope="session")
def layer(layer_zip, tmp_path_factory):
    """The layer unzipped with its mode bits, as Lambda does below /opt."""
    target = tmp_path_factory.mktemp("opt")
    with zipfile.ZipFile(layer_zip) as archive:
        for entry in archive.infolist():
            path = Path(archive.extract(entry, target))
            path.chmod(entry.external_attr >> 16 & 0o777)
    return target


@pytest.fixture
def plane():
    with control_plane() as plane:
        yield plane


@pytest.fixture
def local_lambda(layer, plane, tmp_path, unused_port):
    """A factory of local Lambdas whose agent is configured for `plane`."""

    @contextlib.asynccontextmanager
    async def start(*, config=None, environment=None, **settings):
        document = {
            "services": {"plane": {"url": plane.url}},
            "bundles": {
                "main": {"polling": {"min_delay_seconds": 0, "max_delay_seconds": 0}},
            },
            "decision_logs": {"service": "plane"},
            "persistence_directory": str(tmp_path / "state"),
            **(config or {}),
        }
        variables = {
            "POLICY_AGENT_CONFIG": json.dumps(document),
            "POLICY_AGENT_ADDR": f"127.0.0.1:{unused_port}",
            **(environment or {}),
        }
        given = {"layer_dir": layer, "timeout_seconds": 10.0, **settings}
        shaped = LambdaSettings(FUNCTION, "handler.handle", environment=variables, **given)
        async with LocalLambda(shaped) as env:
            yield env

    return start
