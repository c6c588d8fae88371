"""What a discovered configuration may say, and what wins."""

import pytest

from policy_agent.config import parse_config
from policy_agent.config.discovered import discovered_config
from policy_agent.errors import ConfigError

BOOT = {
    "services": {"plane": {"url": "http://plane", "headers": {"a": "b"}}},
    "discovery": {"resource": "discovery", "decision": "/example/config/"},
    "labels": {"region": "eu"},
    "keys": {"k": {"key": "secret", "algorithm": "HS256"}},
    "bundles": {"boot": {"service": "plane"}},
}


def discovered(found, **boot):
    return discovered_config(parse_config({**BOOT, **boot}), found, {"TEAM": 'say "x"'})


def problems_of(found, **boot):
    with pytest.raises(ConfigError) as caught:
        discovered(found, **boot)
    return caught.value.problems


def test_boot_settings_win_key_by_key_and_the_overridden_ones_are_named():
    config, overridden = discovered(
        {
            "bundles": {"more": {"service": "plane"}, "boot": {"persist": False}},
            "services": {"other": {"url": "http://other"}},
            "default_decision": "/a/b",
            "labels": {"region": "us", "team": "t"},
        },
        default_decision="/c/d",
    )
    assert overridden == ["default_decision", "labels.region"]
    assert set(config.bundles) == {"boot", "more"}
    assert not config.bundles["boot"].persist
    assert set(config.services) == {"plane", "other"}
    assert config.default_decision == "c/d"
    assert (config.labels["region"], config.labels["team"]) == ("eu", "t")


def test_the_agent_stays_the_one_it_is():
    boot = parse_config(BOOT)
    config, _ = discovered_config(boot, {"labels": {"id": "x", "version": "y"}}, {})
    assert config.labels == boot.labels
    assert config.discovery == boot.discovery
    config, overridden = discovered_config(boot, {"discovery": {"resource": "elsewhere"}}, {})
    assert config.discovery == boot.discovery
    assert config.document["discovery"] == BOOT["discovery"]
    assert overridden == []


def test_services_may_be_a_list_on_either_side():
    config, _ = discovered({"services": [{"name": "other", "url": "http://other"}]})
    assert set(config.services) == {"plane", "other"}


def test_texts_may_name_environment_variables():
    config, _ = discovered({"labels": {"team": "${TEAM}", "none": "${NONE}"}})
    assert (config.labels["team"], config.labels["none"]) == ('say "x"', "${NONE}")


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (3, "the discovered configuration must be an object of settings"),
        (
            {"services": {"plane": {"url": "http://elsewhere"}}},
            "services.plane: updates to the discovery service are not allowed",
        ),
        (
            {"keys": {"k": {"key": "other", "algorithm": "HS256"}}},
            "keys.k: updates to keys specified in the boot configuration are not allowed",
        ),
        ({"bundles": {"b": {"service": "nope"}}}, "bundles.b.service: is not among services"),
        (
            {"persistence_directory": "/elsewhere"},
            "persistence_directory: cannot be discovered: what is kept there is found at the start",
        ),
        (
            {"server": {"port_token": {"path": "/p"}}},
            "server.port_token: cannot be discovered: callers read it at the start",
        ),
    ],
)
def test_what_may_not_be_is_refused_by_key(found, problem):
    assert problems_of(found) == [problem]


def test_the_discovery_service_may_be_repeated_word_for_word():
    config, overridden = discovered({"services": BOOT["services"]})
    assert (config.services, overridden) == (parse_config(BOOT).services, [])


def test_a_discovery_without_resource_is_refused():
    with pytest.raises(ConfigError, match=r"discovery\.resource: is required"):
        parse_config({**BOOT, "discovery": {}})
    old = parse_config({**BOOT, "discovery": {"name": "/a/b", "prefix": "/c/"}}).discovery
    assert (old.source.resource, old.decision) == ("c/a/b", "a/b")
