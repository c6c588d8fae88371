"""Write small extensions and functions to disk and run them under the local Lambda."""

import asyncio
import json
import sys
import textwrap
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from policy_agent.emulator.sandbox import LocalLambda
from policy_agent.emulator.settings import LambdaSettings

TEST_SECONDS = 15

# The extensions' side of the APIs, with nothing but the standard library.
EXTENSION_LIBRARY = """
import http.client, http.server, json, os, sys, threading, time

NAME = os.path.basename(sys.argv[0])
SCRATCH = os.environ["SCRATCH"]

def call(method, path, body=None, **headers):
    headers = {"Lambda-Extension-" + k.replace("_", "-"): v for k, v in headers.items()}
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    text = body if isinstance(body, (str, type(None))) else json.dumps(body)
    connection.request(method, path, text, headers)
    answer = connection.getresponse()
    raw = answer.read()
    connection.close()
    try:
        return answer, json.loads(raw)
    except ValueError:
        return answer, raw.decode()

def note(**fields):
    with open(f"{SCRATCH}/{NAME}.jsonl", "a") as out:
        out.write(json.dumps({"pid": os.getpid(), **fields}) + "\\n")

def first_time(mark):
    try:
        os.close(os.open(f"{SCRATCH}/{mark}", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True

def await_file(name):
    while not os.path.exists(f"{SCRATCH}/{name}"):
        time.sleep(0.005)

def register(*events):
    global ID
    path = "/2020-01-01/extension/register"
    answer, body = call("POST", path, {"events": events}, Name=NAME)
    ID = answer.getheader("Lambda-Extension-Identifier")
    return answer, body

def own_id():
    return ID

def next_event():
    return call("GET", "/2020-01-01/extension/event/next", Identifier=ID)[1]

def loop():
    while True:
        event = next_event()
        note(**event)
        if event.get("eventType") != "INVOKE":
            return

def subscribe(port, **changes):
    body = {
        "schemaVersion": "2022-12-13",
        "types": ["platform"],
        "destination": {"protocol": "HTTP", "URI": f"http://sandbox.localdomain:{port}/t"},
        "buffering": {"timeoutMs": 25},
        **changes,
    }
    return call("PUT", "/2022-07-01/telemetry", body, Identifier=ID)

def listen(on_batch, port=0):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            status = on_batch(json.loads(raw), self.path, self.headers["Host"])
            self.send_response(status or 200)
            self.end_headers()
        def log_message(self, *args):
            pass
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port
"""

# Each wrong call that an extension can make, noted with the answer it got.
WRONG_CALLS = """
ANY = "7b7dd0f1-3fdc-4a3e-8aa7-5c1c4e0b2f6d"
R, N = "/2020-01-01/extension/register", "/2020-01-01/extension/event/next"
I, X = "/2020-01-01/extension/init/error", "/2020-01-01/extension/exit/error"

def wrong(case, method, path, body=None, **headers):
    answer, body = call(method, path, body, **headers)
    note(case=case, status=answer.status, body=body)

wrong("no-name", "POST", R, {})
wrong("bad-json", "POST", R, "{", Name=NAME)
wrong("unknown-event", "POST", R, {"events": ["OTHER"]}, Name=NAME)
wrong("not-a-file", "POST", R, {"events": ["SHUTDOWN"]}, Name="other")
wrong("wrong-verb", "GET", R)
wrong("unknown-path", "GET", "/2020-01-01/nothing")
answer, body = register("INVOKE", "SHUTDOWN")
note(case="registered", status=answer.status, body=body)
wrong("twice", "POST", R, {}, Name=NAME)
wrong("no-id", "GET", N)
wrong("bad-id", "GET", N, Identifier="x")
wrong("strange-id", "GET", N, Identifier=ANY)
wrong("no-error-type", "POST", I, {}, Identifier=own_id())
next_event()
wrong("init-error-after-next", "POST", I, {}, Identifier=own_id(), Function_Error_Type="A.B")
wrong("subscribe-late", "PUT", "/2022-07-01/telemetry", {}, Identifier=own_id())
wrong("register-late", "POST", R, {"events": ["INVOKE"]}, Name="late")
note(case="done")
loop()
"""

PRELUDE = f"""\
#!{sys.executable}
import sys
sys.path.insert(0, {{library!r}})
from extension_library import *
"""


class Workbench:
    """A function and a layer under `tmp_path`, and what their processes noted down."""

    def __init__(self, root: Path) -> None:
        self.scratch = root / "scratch"
        self.layer = root / "layer"
        self.function = root / "function"
        for folder in (self.scratch, self.layer / "extensions", self.function):
            folder.mkdir(parents=True)
        (root / "extension_library.py").write_text(EXTENSION_LIBRARY)
        self._prelude = PRELUDE.format(library=str(root))
        self.handler("def handler(event, context):\n    return {'echo': event}")

    def extension(self, name: str, source: str = "register('INVOKE', 'SHUTDOWN')\nloop()") -> Path:
        path = self.layer / "extensions" / name
        path.write_text(self._prelude + textwrap.dedent(source) + "\n")
        path.chmod(0o755)
        return path

    def handler(self, source: str) -> None:
        (self.function / "app.py").write_text(textwrap.dedent(source))

    def settings(self, **changes: Any) -> LambdaSettings:
        own = {"SCRATCH": str(self.scratch), **changes.pop("environment", {})}
        base = {"function_dir": self.function, "handler": "app.handler", "layer_dir": self.layer}
        return LambdaSettings(**{**base, "environment": own, **changes})

    def notes(self, name: str) -> list[dict[str, Any]]:
        path = self.scratch / f"{name}.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path)


@pytest.fixture
def run() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a coroutine to its end, within a bound that no healthy test reaches."""

    def runner(coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run(asyncio.wait_for(coroutine, TEST_SECONDS))

    return runner


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], Coroutine[Any, Any, None]]:
    """Wait until a condition holds, within a bound that no healthy test reaches."""

    async def wait(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(TEST_SECONDS / 2):
            while not condition():
                await asyncio.sleep(0.005)

    return wait


@pytest.fixture
def answers(bench: Workbench, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> dict[str, Any]:
    """What our emulator answers to the wrong calls, by case."""
    bench.extension("agent", WRONG_CALLS)

    async def scenario() -> Any:
        async with LocalLambda(bench.settings()) as env:
            return await (await env.invoke({})).completed()

    assert run(scenario()).status == "success"
    return {note["case"]: note for note in bench.notes("agent") if "case" in note}
