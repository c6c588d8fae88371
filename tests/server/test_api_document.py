"""Every example of docs/api.md does what is written under it."""

import json
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from policy_agent.server.routes import ROUTES
from tests.server.beside_opa import AGENT, server

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "api.md").read_text("utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.DOTALL)
EXAMPLES = [
    (text, following[1] if following[0] == "json" else "")
    for (language, text), following in zip(BLOCKS, [*BLOCKS[1:], ("", "")], strict=True)
    if language == "sh"
]

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    work = tmp_path_factory.mktemp("api")
    config = work / "config.yaml"
    [settings] = [text for language, text in BLOCKS if language == "yaml"]
    config.write_text(settings + f"persistence_directory: {work}/state\n")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [*AGENT, "run", "--addr", f"127.0.0.1:{port}", "-b", str(ROOT / "bundles" / "orders")]
    with server([*command, "-c", str(config)], port, work / "agent.log", None):
        yield port


def is_like(expected, got):
    if expected == "…":
        return bool(got) or got == 0
    if isinstance(expected, dict) and isinstance(got, dict):
        return expected.keys() == got.keys() and all(
            is_like(value, got[key]) for key, value in expected.items()
        )
    if isinstance(expected, list) and isinstance(got, list):
        return len(expected) == len(got) and all(map(is_like, expected, got))
    return expected == got


def documents(text):
    decoder, position, found = json.JSONDecoder(), 0, []
    text = text.strip()
    while position < len(text):
        value, position = decoder.raw_decode(text, position)
        found.append(value)
        while text[position : position + 1].isspace():
            position += 1
    return found


@pytest.mark.parametrize(("command", "expected"), EXAMPLES)
def test_the_example_answers_what_is_written(port, command, expected):
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command.replace("localhost:8181", f"127.0.0.1:{port}")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout
    if expected:
        got = documents(done.stdout)
        assert is_like(documents(expected), got), got


def test_every_resource_is_in_the_document():
    for route in ROUTES:
        family = {"/access/v1/search/resource": "`/resource`"}.get(route.path, route.path)
        if route.path not in ("/v1/compile", "/metrics/alloc_bytes"):
            assert family in TEXT or family.rpartition("/")[2] in TEXT, route.path
