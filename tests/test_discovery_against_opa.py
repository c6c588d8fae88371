"""What is discovered, beside the real opa with the same discovery bundle."""

import asyncio
import json
import subprocess
import urllib.request
from typing import Any

import pytest

from policy_agent.agent import Agent
from policy_agent.codec import encode_json
from policy_agent.config import parse_config
from tests.support import OPA, control_plane, make_bundle, needs_opa, wait_until

pytestmark = needs_opa

POLICIES = {
    name: make_bundle({f"{name}.rego": f"package {name}\n\nx := 1\n"}, revision=name, roots=(name,))
    for name in ("a", "b")
}
TIMES = {
    "last_request",
    "last_successful_request",
    "last_successful_download",
    "last_successful_activation",
}
CASES: dict[str, Any] = {
    "bundles, labels and a setting of its own": {
        "bundles": {"a": {"service": "s"}, "b": {"service": "s"}},
        "labels": {"region": "us", "team": "t"},
        "default_decision": "/a/x",
    },
    "boot bundles beside": {"bundles": {"b": {"service": "s", "resource": "bundles/b"}}},
    "a service that changes": {"services": {"s": {"url": "http://127.0.0.1:1"}}},
    "a service that is not there": {"bundles": {"b": {"service": "nope"}}},
    "discovery in the document": {
        "discovery": {"resource": "x"},
        "bundles": {"b": {"service": "s"}},
    },
    "undefined": None,
}


def boot(url, directory):
    return {
        "services": {"s": {"url": url}},
        "labels": {"region": "eu"},
        "persistence_directory": str(directory),
        "discovery": {"resource": "bundles/discovery", "decision": "config/document"},
        "bundles": {"a": {"service": "s", "resource": "bundles/a"}},
        "status": {"service": "s"},
    }


def get(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)


def of_opa(plane, tmp_path, port, wanted_bundles):
    (tmp_path / "opa.json").write_bytes(encode_json(boot(plane.url, tmp_path / "opa")))
    command = [str(OPA), "run", "-s", "-c", str(tmp_path / "opa.json"), "--disable-telemetry"]

    def settled():
        for status in reversed(plane.statuses):
            found, bundles = status.get("discovery") or {}, status.get("bundles") or {}
            # In a failed configuration's wake those of the boot configuration are there.
            wanted = {"a"} if found.get("code") else wanted_bundles
            active = {name for name, each in bundles.items() if each.get("active_revision")}
            if (found.get("code") or found.get("active_revision")) and active >= wanted:
                return status
        return None

    with (tmp_path / "log").open("wb") as log:
        opa = subprocess.Popen([*command, "-a", f"127.0.0.1:{port}"], stdout=log, stderr=log)
        try:
            wait_until(settled)
            return settled(), get(f"http://127.0.0.1:{port}/v1/config")["result"]
        finally:
            opa.terminate()
            opa.wait(10)


def of_ours(plane, tmp_path):
    async def run():
        agent = Agent(parse_config(boot(plane.url, tmp_path / "ours")))
        try:
            await agent.start(10)
            return agent.overview.report(), agent.overview.config()
        finally:
            agent.close()

    return asyncio.run(run())


@pytest.mark.parametrize("case", CASES)
def test_the_same_is_discovered_as_by_opa(case, tmp_path, unused_port):
    document = CASES[case]
    data = {"config": {"document": document} if document is not None else {}}
    wanted = {"a", *((document or {}).get("bundles") or {})}
    with control_plane() as plane:
        discovery = make_bundle({"data.json": json.dumps(data)}, revision="d1")
        plane.bundles = {**POLICIES, "discovery": discovery}
        theirs, their_config = of_opa(plane, tmp_path, unused_port, wanted)
        ours, our_config = of_ours(plane, tmp_path)

    def active(status):
        return {name: each.get("active_revision") for name, each in status["bundles"].items()}

    assert active(ours) == active(theirs)
    for name in ("region", "team"):
        assert ours["labels"].get(name) == theirs["labels"].get(name)
    # A status of opa's may be older than what its plugins have become.
    assert set(ours["plugins"]) == set(theirs["plugins"])
    mine, other = ours["discovery"], theirs["discovery"]
    ours_only, theirs_only = {"source"}, {"metrics"}
    if "code" in other:
        # Ours is the size of the active version.
        theirs_only |= {"size"}
    assert set(mine) - ours_only == set(other) - theirs_only
    for key in set(other) - TIMES - theirs_only - {"message"}:
        assert mine[key] == other[key], key
    if "code" not in other:
        assert mine.get("message") == other.get("message")
        for key in ("bundles", "default_decision", "discovery"):
            assert our_config.get(key) == their_config.get(key)
