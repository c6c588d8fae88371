"""The real opa downloads bundles from `policy-agent serve-bundles`."""

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Callable

import httpx
import pytest

from policy_agent.publisher.build import build
from tests.publisher.serving import publish, serve_bundles
from tests.support import OPA, needs_opa

pytestmark = needs_opa


def until(condition: Callable[[], bool], *, deadline_seconds: float = 10) -> bool:
    end = time.monotonic() + deadline_seconds
    while time.monotonic() < end:
        with contextlib.suppress(httpx.HTTPError):
            if condition():
                return True
        time.sleep(0.05)
    return False


def revision(number: int) -> bytes:
    files = {
        ".manifest": b'{"roots": ["app"]}',
        "app/p.rego": b"package app\n\nrevision := data.app.number\n",
        "app/data.json": b'{"number": %d}' % number,
    }
    return build("app", files, revision=str(number)).raw


@pytest.fixture
def opa_following(tmp_path) -> Callable[..., contextlib.AbstractContextManager[str]]:
    """Return a function that runs OPA as a client of a bundle server and yields its URL."""

    @contextlib.contextmanager
    def follow(url: str, polling: dict[str, int]):
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = f"127.0.0.1:{free.getsockname()[1]}"
        config = {
            "services": {"central": {"url": url}},
            "bundles": {
                "app": {
                    "service": "central",
                    "resource": "bundles/app.tar.gz",
                    "polling": polling,
                }
            },
        }
        path = tmp_path / "opa.json"
        path.write_text(json.dumps(config))
        command = [str(OPA), "run", "-s", "-c", str(path), "-a", address, "--disable-telemetry"]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            try:
                yield f"http://{address}"
            finally:
                process.terminate()

    return follow


# While it waits for news its next turn by the clock is a quarter of an hour away.
@pytest.mark.parametrize(
    "polling",
    [
        pytest.param({"min_delay_seconds": 1, "max_delay_seconds": 1}, id="asking again"),
        pytest.param(
            {
                "long_polling_timeout_seconds": 60,
                "min_delay_seconds": 900,
                "max_delay_seconds": 900,
            },
            id="waiting",
        ),
    ],
)
def test_the_real_opa_follows_revisions(tmp_path, opa_following, polling):
    served = tmp_path / "served"
    served.mkdir()
    publish(served / "app.tar.gz", revision(1))
    with serve_bundles(served) as url, opa_following(url, polling) as opa:

        def number() -> object:
            return httpx.get(f"{opa}/v1/data/app/revision").json().get("result")

        assert until(lambda: number() == 1)
        publish(served / "app.tar.gz", revision(2))
        assert until(lambda: number() == 2)
        manifest = httpx.get(f"{opa}/v1/data/system/bundles/app/manifest").json()["result"]
        assert manifest["revision"] == "2"
