"""Agents whose configuration comes from a bundle, over real sockets."""

import asyncio
import json
import time

import pytest

from policy_agent.agent import Agent
from policy_agent.codec import encode_json
from policy_agent.config import Delays, parse_config
from policy_agent.decision.decisions import Question
from policy_agent.model import UNDEFINED
from policy_agent.periodic import working_by_clock
from tests.support import control_plane, make_bundle

POLLING = {"min_delay_seconds": 0, "max_delay_seconds": 0}  # due at each refresh


def policy(package, value, revision="r"):
    source = f"package {package}\n\nx := {encode_json(value).decode()}\n"
    return make_bundle({f"{package}.rego": source}, revision=revision, roots=(package,))


def settings(*names, **more):
    bundles = {name: {"service": "plane", "polling": POLLING} for name in names}
    return {"bundles": bundles, **more}


class Rig:
    """Agents that discover what `publish` says."""

    def __init__(self, plane, directory):
        self.plane = plane
        self.directory = directory

    def publish(self, document, revision="d1"):
        data = {"data.json": json.dumps({"config": document})}
        self.plane.bundles["discovery"] = make_bundle(data, revision=revision)

    def boot(self, **more):
        return {
            "services": {"plane": {"url": self.plane.url}},
            "discovery": {
                "resource": "bundles/discovery",
                "decision": "config",
                "polling": POLLING,
            },
            "persistence_directory": str(self.directory),
            **more,
        }

    def live(self, scenario, **more):
        async def run():
            agent = Agent(parse_config(self.boot(**more)))
            try:
                await agent.start(10)
                await scenario(agent)
            finally:
                agent.close()

        asyncio.run(run())


@pytest.fixture
def rig(tmp_path):
    with control_plane() as plane:
        plane.bundles |= {"a": policy("a", 1), "b": policy("b", 2)}
        yield Rig(plane, tmp_path / "state")


def ask(agent, path):
    question = Question(
        input={"q": path},
        started_ns=time.perf_counter_ns(),
        path=path,
        segments=tuple(path.split("/")),
    )
    return agent.decisions.decide(question).result


def discovery_of(agent):
    return agent.overview.report()["discovery"]


def test_the_discovered_bundles_decide_from_the_start(rig):
    rig.publish(settings("a", labels={"team": "t"}))

    async def scenario(agent):
        assert ask(agent, "a/x") == 1
        status = agent.overview.report()
        assert status["discovery"]["name"] == "discovery"
        assert status["discovery"]["active_revision"] == "d1"
        assert status["plugins"] == {"bundle": {"state": "OK"}, "discovery": {"state": "OK"}}
        assert status["labels"]["team"] == "t"
        assert agent.overview.config()["bundles"] == settings("a")["bundles"]

    rig.live(scenario)


def test_bundles_come_go_and_stay_and_those_that_stay_are_not_fetched_anew(rig):
    rig.publish(settings("a", "b"))

    async def scenario(agent):
        assert (ask(agent, "a/x"), ask(agent, "b/x")) == (1, 2)
        rig.plane.bundles["c"] = policy("c", 3)
        rig.publish(settings("a", "c"), "d2")
        rig.plane.etags.clear()
        await agent.refresh(10)
        assert [ask(agent, f"{name}/x") for name in "abc"] == [1, UNDEFINED, 3]
        assert set(agent.bundles.statuses) == {"a", "c"}
        # Of the discovery bundle, a and b the ETags were known; c was new.
        assert rig.plane.etags.count(None) == 1
        assert discovery_of(agent)["active_revision"] == "d2"

    rig.live(scenario)


def test_a_bundle_takes_the_place_of_one_with_the_same_roots_at_once(rig):
    rig.plane.bundles["a2"] = policy("a", 10)
    rig.publish(settings("a"))

    async def scenario(agent):
        seen = []
        activate = agent.bundles._activate

        def note(snapshot):
            seen.append(snapshot)
            activate(snapshot)

        agent.bundles._activate = note
        rig.publish(settings("a2"), "d2")
        await agent.refresh(10)
        assert ask(agent, "a/x") == 10
        assert [set(snapshot.bundles) for snapshot in seen] == [{"a2"}]

    rig.live(scenario)


def test_a_bundle_that_comes_from_elsewhere_decides_in_its_old_version_until_the_new_is_there(rig):
    rig.publish(settings("a"))

    async def scenario(agent):
        moved = settings("a")
        moved["bundles"]["a"]["resource"] = "bundles/elsewhere"
        rig.publish(moved, "d2")
        await agent.refresh(10)
        assert ask(agent, "a/x") == 1
        assert agent.bundles.statuses["a"].http_code == 404
        rig.plane.bundles["elsewhere"] = policy("a", 5)
        await agent.refresh(10)
        assert ask(agent, "a/x") == 5

    rig.live(scenario)


def test_when_the_last_bundle_has_gone_nothing_decides(rig):
    rig.publish(settings("a"))

    async def scenario(agent):
        rig.publish({}, "d2")
        await agent.refresh(10)
        assert agent.decisions.snapshot is None
        assert agent.decisions.unavailable == "no policy is active: no bundles are configured"

    rig.live(scenario)


BAD = {
    "a wrong value": (
        settings("a", decision_logs={"service": "nope"}),
        "decision_logs.service: is not among services",
    ),
    "another discovery service": (
        settings("a", services={"plane": {"url": "http://127.0.0.1:1"}}),
        "services.plane: updates to the discovery service are not allowed",
    ),
    "no object": (
        3,
        "the discovered configuration must be an object of settings",
    ),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_configuration_leaves_the_old_one_in_force(rig, bad):
    rig.publish(settings("a", labels={"team": "t"}))
    document, message = BAD[bad]

    async def scenario(agent):
        rig.publish(document, "d2")
        await agent.refresh(10)
        assert ask(agent, "a/x") == 1
        status = agent.overview.report()
        assert (status["discovery"]["code"], status["discovery"]["message"]) == (
            "bundle_error",
            f"discovered configuration: {message}",
        )
        assert status["discovery"]["active_revision"] == "d1"
        assert status["labels"]["team"] == "t"
        rig.publish(settings("b"), "d3")
        await agent.refresh(10)
        assert ask(agent, "b/x") == 2
        assert "code" not in discovery_of(agent)

    rig.live(scenario)


def test_without_a_configuration_every_answer_says_why(rig):
    async def scenario(agent):
        assert agent.decisions.unavailable == (
            "no policy is active: discovery: server replied with Not Found"
        )
        assert agent.overview.plugin_states() == {"discovery": "NOT_READY"}
        rig.publish(settings("a"))
        assert agent.due()
        await agent.refresh(10)
        assert ask(agent, "a/x") == 1

    rig.live(scenario)


def test_what_boot_settings_override_is_told(rig):
    rig.publish(settings("a", default_decision="/x", labels={"region": "us"}))

    async def scenario(agent):
        assert agent.config.default_decision == "y"
        assert discovery_of(agent)["message"] == (
            "Keys in the discovered configuration overridden by boot configuration: "
            "default_decision, labels.region"
        )

    rig.live(scenario, default_decision="/y", labels={"region": "eu"})


def test_after_a_restart_while_the_service_is_down_the_last_good_copies_serve(rig):
    rig.publish(settings("a"))

    async def nothing(_):
        pass

    rig.live(nothing)
    rig.plane.bundles.clear()

    async def scenario(agent):
        assert ask(agent, "a/x") == 1
        status = discovery_of(agent)
        assert (status["active_revision"], status["http_code"]) == ("d1", 404)
        assert status["source"]["type"] == "persisted"

    rig.live(scenario)


def test_the_configuration_may_depend_on_labels_of_the_boot_configuration(rig):
    source = """package config

labels := opa.runtime().config.labels

bundles[labels.team] := {"service": "plane"}
"""
    rig.plane.bundles["discovery"] = make_bundle({"c.rego": source}, revision="d1")

    async def scenario(agent):
        # Not a setting, but in the same document.
        assert ask(agent, "b/x") == 2

    rig.live(scenario, labels={"team": "b"})


def test_a_decision_log_is_discovered_changed_and_loses_no_entry(rig):
    rig.publish(settings("a", decision_logs={"service": "plane"}))

    async def scenario(agent):
        asked = []

        def record():
            ask(agent, "a/x")
            asked.append(1)

        record()
        rig.plane.log_status = 500
        await agent.flush(5)
        rig.publish(settings("a", decision_logs={"service": "plane"}, labels={"team": "t"}), "d2")
        await agent.refresh(10)
        record()
        rig.plane.log_status = 200
        await agent.flush(5, force=True)
        teams = [event["labels"].get("team") for event in rig.plane.decisions]
        assert teams == [None, "t"]
        assert [closing["last_seq"] for closing in rig.plane.closings] == [1, 1]
        assert agent.backlog_events == 0

    rig.live(scenario)


def test_a_log_that_is_replaced_while_it_is_shipped_loses_no_entry(rig):
    rig.publish(settings("a", decision_logs={"service": "plane"}))

    async def scenario(agent):
        ask(agent, "a/x")
        rig.plane.log_status = None
        shipping = asyncio.create_task(agent.flush(0.5))
        await asyncio.sleep(0.1)
        rig.publish(settings("a", decision_logs={"service": "plane"}, labels={"team": "t"}), "d2")
        await agent.refresh(10)
        ask(agent, "a/x")
        await shipping
        rig.plane.log_status = 200
        await agent.flush(5, force=True)
        assert [event["labels"].get("team") for event in rig.plane.decisions] == [None, "t"]

    rig.live(scenario)


def test_status_is_reported_where_the_configuration_says(rig):
    rig.publish(settings("a", status={"service": "plane"}))

    async def scenario(agent):
        assert agent.has_news
        await agent.flush(5)
        [status] = rig.plane.statuses
        assert status["discovery"]["active_revision"] == "d1"
        rig.publish(settings("a", status={"service": "plane"}), "d2")
        await agent.refresh(10)
        await agent.flush(5)
        assert rig.plane.statuses[-1]["discovery"]["active_revision"] == "d2"

    rig.live(scenario)


def test_what_remains_and_needs_a_bundle_that_has_gone_keeps_deciding_and_says_so(rig):
    uses_a = "package b\n\nimport data.a\n\nx := a.double(2)\n"
    defines = "package a\n\ndouble(n) := n * 2\n"
    rig.plane.bundles["a"] = make_bundle({"a.rego": defines}, revision="r", roots=("a",))
    rig.plane.bundles["b"] = make_bundle({"b.rego": uses_a}, revision="r", roots=("b",))
    rig.publish(settings("a", "b"))

    async def scenario(agent):
        assert ask(agent, "b/x") == 4
        rig.publish(settings("b"), "d2")
        await agent.refresh(10)
        assert ask(agent, "b/x") == 4
        assert agent.bundles.statuses["b"].message == (
            "cannot be compiled without a bundle that is no longer configured"
        )
        rig.publish(settings("a", "b"), "d3")
        await agent.refresh(10)
        await agent.refresh(10)
        assert agent.bundles.statuses["b"].code == ""

    rig.live(scenario)


def test_by_the_clock_bundles_that_are_new_are_polled_and_those_that_have_gone_are_not(rig):
    polling = {"min_delay_seconds": 0.05, "max_delay_seconds": 0.05}
    names = ["a", "b"]

    def published(name, revision):
        bundle = {"service": "plane", "polling": {**polling, "long_polling_timeout_seconds": 1}}
        rig.publish({"bundles": {name: bundle}}, revision)

    async def until(condition):
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.02)

    async def scenario(agent):
        async with working_by_clock(agent, lambda: Delays(60, 60)):
            for name in [*names, *names]:
                published(name, name)
                await until(lambda name=name: ask(agent, f"{name}/x") is not UNDEFINED)
                assert set(agent.bundles.statuses) == {name}
                rig.plane.bundles[name] = policy(name, "new")
                await until(lambda name=name: ask(agent, f"{name}/x") == "new")
                rig.plane.bundles[name] = policy(name, "old")

    published("a", "a")
    rig.live(scenario)


def test_where_keys_are_configured_an_unsigned_configuration_is_refused(rig):
    rig.publish(settings("a"))

    async def scenario(agent):
        assert discovery_of(agent)["message"] == "bundle missing .signatures.json file"
        assert agent.decisions.snapshot is None

    rig.live(scenario, keys={"k": {"key": "secret", "algorithm": "HS256"}})
