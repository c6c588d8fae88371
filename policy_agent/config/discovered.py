"""Put a discovered configuration below the one the agent was started with.

Pure. Follows OPA v1.22 v1/plugins/discovery/discovery.go: the boot configuration wins key by key
and keeps its labels, and neither `discovery` nor the service it comes from nor a key of the boot
configuration can be changed. What an agent holds open from its start cannot be discovered either.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from policy_agent.config.document import Config, parse_config
from policy_agent.config.keys import read_key
from policy_agent.config.section import Findings, Section
from policy_agent.config.services import read_service
from policy_agent.config.source import substitute
from policy_agent.errors import ConfigError
from policy_agent.model import JsonObject

_AT_START_ONLY: Final = (
    ("persistence_directory", "what is kept there is found at the start"),
    ("on_init_failure", "it says what becomes of the start"),
)


def discovered_config(
    boot: Config, found: Any, environ: Mapping[str, str]
) -> tuple[Config, list[str]]:
    """Return the configuration that is to be in force.

    Args:
        boot: what the agent was started with.
        found: the discovered document.
        environ: for `${NAME}` in its texts.

    Returns:
        It, and the dotted keys of `found` that `boot` overrides.

    Raises:
        ConfigError: with one problem for each wrong or forbidden value.
    """
    if not isinstance(found, Mapping):
        raise ConfigError(["the discovered configuration must be an object of settings"])
    found = _by_name({key: _substituted(item, environ) for key, item in found.items()})
    found.pop("discovery", None)
    _refuse_changes(boot, found)
    overridden: list[str] = []
    document = _merged(found, _by_name(boot.document), "", overridden)
    # Of the start it is: with another service or key beside, its defaults would be others.
    config = parse_config({key: item for key, item in document.items() if key != "discovery"})
    if config.server.port_token != boot.server.port_token:
        raise ConfigError(["server.port_token: cannot be discovered: callers read it at the start"])
    by_flag = {name: source for name, source in boot.bundles.items() if name not in config.bundles}
    return replace(
        config,
        labels={**config.labels, **boot.labels},
        bundles={**config.bundles, **by_flag},
        discovery=boot.discovery,
        document=document,
        rego_version=boot.rego_version,
    ), sorted(overridden)


def _refuse_changes(boot: Config, found: JsonObject) -> None:
    findings = Findings()
    top = Section(found, "", findings)
    problems = [
        f"{key}: cannot be discovered: {reason}"
        for key, reason in _AT_START_ONLY
        if key in found and found[key] != boot.document.get(key)
    ]
    for name, entry in top.sections("keys").items():
        if name in boot.keys and read_key(entry, name) != boot.keys[name]:
            problems.append(
                f"keys.{name}: updates to keys specified in the boot configuration are not allowed"
            )
    service = boot.discovery.source.service if boot.discovery else None
    section = top.sections("services").get(service.name) if service else None
    if service and section is not None:
        given = read_service(section, service.name, boot.keys)
        if given != service:
            what = "updates to the discovery service are not allowed"
            problems.append(f"services.{service.name}: {what}")
    if problems:
        raise ConfigError(problems)


def _merged(
    below: Mapping[str, Any], above: Mapping[str, Any], path: str, overridden: list[str]
) -> JsonObject:
    result = dict(below)
    for key, value in above.items():
        present = result.get(key)
        if key not in result or present == value:
            result[key] = value
        elif isinstance(value, Mapping) and isinstance(present, Mapping):
            result[key] = _merged(present, value, f"{path}{key}.", overridden)
        else:
            result[key] = value
            overridden.append(path + key)
    return result


def _by_name(document: Mapping[str, Any]) -> JsonObject:
    """Return a document whose services are an object, so that those of two can be merged."""
    services = document.get("services")
    if not isinstance(services, list):
        return dict(document)
    named = {item.get("name"): item for item in services if isinstance(item, Mapping)}
    return {**document, "services": named} if len(named) == len(services) else dict(document)


def _substituted(value: Any, environ: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return substitute(value, environ)
    if isinstance(value, Mapping):
        return {key: _substituted(item, environ) for key, item in value.items()}
    if isinstance(value, list):
        return [_substituted(item, environ) for item in value]
    return value
