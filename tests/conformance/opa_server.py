"""A running `opa` to ask: one process for many policies."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from policy_agent.codec import decode_json
from policy_agent.model import UNDEFINED
from tests.support import OPA


class OpaError(Exception):
    """What OPA refused or could not evaluate.

    Attributes:
        codes: its errors' codes.
    """

    def __init__(self, answer: dict[str, Any]) -> None:
        self.codes = sorted({error["code"] for error in answer.get("errors", [])})
        super().__init__(json.dumps(answer, default=str)[:2000])


@dataclass(frozen=True, slots=True)
class OpaServer:
    """OPA's REST API, as far as comparing needs it."""

    client: httpx.Client

    def load(self, modules: Mapping[str, str], data: Any) -> None:
        """Replace all policies and data; a module may need one given before it.

        Raises:
            OpaError: OPA refuses a module.
        """
        loaded = [item["id"] for item in self._json("GET", "/v1/policies")["result"]]
        for name in sorted(loaded, reverse=True):
            self._json("DELETE", f"/v1/policies/{name}")
        self._json("PUT", "/v1/data", content=json.dumps(data))
        for name, text in modules.items():
            self._json("PUT", f"/v1/policies/{name}", content=text)

    def evaluate(self, path: str, given: Any) -> Any:
        """Return a document's value, UNDEFINED where it has none.

        Raises:
            OpaError: evaluation failed.
        """
        body = json.dumps({"input": given})
        return self._json("POST", f"/v1/data/{path}", content=body).get("result", UNDEFINED)

    def _json(self, method: str, path: str, **more: Any) -> Any:
        response = self.client.request(method, path, **more)
        answer = decode_json(response.content) if response.content else {}
        if response.status_code >= 400:
            raise OpaError(answer)
        return answer


@contextlib.contextmanager
def opa_server() -> Iterator[OpaServer]:
    """Start OPA on a socket of its own and stop it in the end."""
    with tempfile.TemporaryDirectory(prefix="policy-agent-opa-") as directory:
        socket = Path(directory) / "opa.sock"
        command = [str(OPA), "run", "--server", "--addr", f"unix://{socket}"]
        command += ["--log-level", "error", "--skip-version-check"]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
            try:
                deadline = time.monotonic() + 10
                while not socket.exists() and process.poll() is None:
                    assert time.monotonic() < deadline, "opa does not start"
                    time.sleep(0.01)
                transport = httpx.HTTPTransport(uds=str(socket), retries=5)
                with httpx.Client(transport=transport, base_url="http://opa", timeout=30) as client:
                    yield OpaServer(client)
            finally:
                process.terminate()
