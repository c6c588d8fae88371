"""The status that is posted, beside the real opa's over the same bundles."""

import asyncio
import re
import subprocess

from policy_agent.agent import Agent
from policy_agent.codec import encode_json
from policy_agent.config import parse_config
from tests.support import OPA, control_plane, make_bundle, needs_opa, wait_until

pytestmark = needs_opa

OURS_ONLY = {"source", "persistence"}
TIMES = {
    "last_request",
    "last_successful_request",
    "last_successful_download",
    "last_successful_activation",
}
# Fractions of a second with as many digits as there are; Go's zero time for never.
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
NEVER = "0001-01-01T00:00:00Z"
BUNDLES = {
    "good": make_bundle({"a/p.rego": "package a\n\nx := 1\n"}, revision="r1", roots=("a",)),
    "broken": make_bundle({"b/p.rego": "package b\n\nx := y\n"}, revision="r2", roots=("b",)),
    "damaged": b"no archive",
}


def config(url, directory):
    names = [*BUNDLES, "missing"]
    return {
        "services": {"s": {"url": url}},
        "labels": {"team": "t"},
        "persistence_directory": str(directory),
        "bundles": {name: {"service": "s", "resource": f"bundles/{name}"} for name in names},
        "status": {"service": "s"},
    }


def opa_status(plane, tmp_path, unused_port):
    (tmp_path / "opa.json").write_bytes(encode_json(config(plane.url, tmp_path / "opa")))
    command = [str(OPA), "run", "-s", "-c", str(tmp_path / "opa.json"), "--disable-telemetry"]
    with (tmp_path / "log").open("wb") as log:
        address = ["-a", f"127.0.0.1:{unused_port}"]
        opa = subprocess.Popen([*command, *address], stdout=log, stderr=log)
        try:
            wait_until(lambda: any(is_complete(status) for status in plane.statuses))
        finally:
            opa.terminate()
            opa.wait(10)
    return next(filter(is_complete, plane.statuses))


def is_complete(status):
    bundles = status.get("bundles") or {}
    failed = all(bundles.get(name, {}).get("code") for name in ("broken", "damaged", "missing"))
    return failed and bundles.get("good", {}).get("active_revision")


def our_status(plane, tmp_path):
    async def run():
        agent = Agent(parse_config(config(plane.url, tmp_path / "ours")))
        try:
            await agent.start(10)
            await agent.flush(10)
            await agent.flush(10)
        finally:
            agent.close()

    asyncio.run(run())
    return plane.statuses


def test_the_status_has_opas_form(tmp_path, unused_port):
    with control_plane() as plane:
        plane.bundles = BUNDLES
        theirs = opa_status(plane, tmp_path, unused_port)
        plane.statuses = []
        posted = our_status(plane, tmp_path)
    assert len(posted) == 1, "the second flush has nothing new to say"
    [ours] = posted
    assert set(ours) <= set(theirs) | {"decision_logs"}
    assert set(ours["labels"]) == set(theirs["labels"])
    assert ours["plugins"] == {
        name: state for name, state in theirs["plugins"].items() if name != "discovery"
    }
    for name in theirs["bundles"]:
        expected, got = theirs["bundles"][name], ours["bundles"][name]
        assert set(got) - OURS_ONLY == set(expected) - {"metrics"}, name
        for key in TIMES:
            assert TIME.fullmatch(got[key]), key
            assert (got[key] == NEVER) == (expected[key] == NEVER), f"{name}: {key}"
        for key in set(expected) - TIMES - {"metrics", "errors"}:
            assert got[key] == expected[key], f"{name}: {key}"
        for mine, other in zip(got.get("errors", []), expected.get("errors", []), strict=True):
            assert (mine["code"], mine["message"]) == (other["code"], other["message"])
