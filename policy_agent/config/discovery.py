"""Where the configuration is discovered: a bundle like others, and the document in it that counts.

Keys are OPA's (v1.22 v1/plugins/discovery/config.go); the bundle may have what other bundles have
here, such as mirrors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from policy_agent.config.bundles import BundleSource, read_bundle
from policy_agent.config.keys import Key
from policy_agent.config.section import Section
from policy_agent.config.services import Service

DISCOVERY: Final = "discovery"  # the bundle's name, as in OPA


class Discovery(Struct, frozen=True):
    """Where the configuration is discovered.

    Attributes:
        decision: the document that is the configuration, a path below `data`; "" for all of it.
    """

    source: BundleSource
    decision: str = ""


def read_discovery(
    section: Section, services: Mapping[str, Service], keys: Mapping[str, Key]
) -> Discovery:
    """Read `discovery`."""
    name, prefix = section.text("name"), section.text("prefix", "bundles")
    if not name and not section.text("resource"):
        section.problem("resource", "is required")
    decision = section.text("decision", name)
    section.refuse("max_age_seconds", "on_stale", "wait_ms")
    source = read_bundle(section, DISCOVERY, services, keys)
    if not section.has("resource"):
        source = replace(source, resource=f"{prefix.strip('/')}/{name.strip('/')}")
    if source.long_poll_seconds:
        what = "has no effect in policy-agent"
        section.warn("polling.long_polling_timeout_seconds", what)
        source = replace(source, long_poll_seconds=0)
    return Discovery(source, decision.strip("/"))
