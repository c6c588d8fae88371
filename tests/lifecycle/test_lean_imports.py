import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
LEAN = "from policy_agent.lifecycle.lean_imports import import_event_loop\nimport_event_loop()\n"


def run(script, **environment):
    paths = [str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))]
    start = f"import sys\nsys.path[:0] = {paths!r}\n"
    done = subprocess.run(
        [sys.executable, "-S", "-c", start + script],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:-1]


def test_the_event_loop_comes_without_tls_and_debugging():
    names = ("ssl", "_ssl", "inspect", "subprocess", "traceback", "platform", "msgspec.inspect")
    script = f"{LEAN}print(*({set(names)!r} & sys.modules.keys()))\nprint('uvloop' in sys.modules)"
    # Which is not in a layer; msgspec looks for it.
    assert run('sys.modules["typing_extensions"] = None\n' + script) == ["", "True"]


def test_whoever_imports_one_afterwards_gets_the_real_module():
    script = "import ssl, inspect, subprocess, traceback\nprint(ssl.create_default_context())"
    script += "\nprint(inspect.isgenerator(x for x in ''), subprocess.run(['true']).returncode)"
    context, others = run(LEAN + script)
    assert context.startswith("<ssl.SSLContext object")
    assert others == "True 0"


def test_what_asyncio_and_msgspec_ask_later_comes_from_the_real_module():
    script = """
import asyncio, msgspec
async def f(): pass
print(asyncio.iscoroutinefunction(f), msgspec.json.schema(int))
async def fail():
    1 / 0
import logging
logging.basicConfig(stream=sys.stdout, format="%(message)s")
try:
    asyncio.run(fail())
except ZeroDivisionError:
    logging.exception("told")
"""
    first, *lines = run(LEAN + script)
    assert first == "True {'type': 'integer'}"
    assert lines[0] == "told"
    assert lines[-1] == "ZeroDivisionError: division by zero"


def test_a_loop_without_tls_refuses_a_context():
    script = """
import asyncio, ssl, uvloop
async def serve():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0, ssl=context)
with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    try:
        runner.run(serve())
    except TypeError as exc:
        print(exc)
"""
    assert "SSLContext" in " ".join(run(LEAN + script))


@pytest.mark.parametrize(
    ("before", "environment"),
    [
        pytest.param("import asyncio\n", {}, id="asyncio-is-there"),
        pytest.param("", {"PYTHONASYNCIODEBUG": "1"}, id="asyncio-is-debugged"),
    ],
)
def test_nothing_is_left_out_when(before, environment):
    assert run(f"{before}{LEAN}import asyncio\nprint('ssl' in sys.modules)", **environment) == [
        "True"
    ]
