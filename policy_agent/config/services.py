"""Servers that bundles come from and logs go to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from msgspec import field

from policy_agent.config.keys import Key
from policy_agent.config.section import Section
from policy_agent.record import Record

if TYPE_CHECKING:
    from policy_agent.config.credentials import Credentials

_HTTP_URL = re.compile(r"https?://[^\s/]")


class Service(Record, frozen=True):
    """An HTTP server that bundles come from or logs go to.

    Attributes:
        is_registry: whether it speaks the OCI distribution protocol (OPA's type `oci`).
        ca_cert: a file with the certificates to trust, "" for the system's.
        system_ca_required: whether the system's are trusted besides.
    """

    unshown: ClassVar[frozenset[str]] = frozenset({"headers"})

    name: str
    url: str
    is_registry: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    credentials: Credentials | None = None
    response_timeout_seconds: float = 10
    allow_insecure_tls: bool = False
    ca_cert: str = ""
    system_ca_required: bool = False


def read_service(section: Section, name: str, keys: Mapping[str, Key]) -> Service:
    """Read one entry of `services`.

    Args:
        keys: by id, for credentials that are signed with one.
    """
    section.text("name")
    url = section.text("url", required=True).rstrip("/")
    if url and not _HTTP_URL.match(url):
        section.problem("url", "must be an http or https URL")
    kind = section.text("type")
    if kind not in ("", "oci"):
        section.problem("type", "must be oci, or left out")
    tls = section.section("tls")
    service = Service(
        name=name,
        url=url,
        is_registry=kind == "oci",
        headers=section.strings("headers"),
        credentials=_credentials(section.section("credentials"), keys, kind)
        if section.has("credentials")
        else None,
        response_timeout_seconds=section.number("response_header_timeout_seconds", 10),
        allow_insecure_tls=section.flag("allow_insecure_tls"),
        ca_cert=tls.text("ca_cert"),
        system_ca_required=tls.flag("system_ca_required"),
    )
    tls.finish()
    section.finish()
    return service


def _credentials(section: Section, keys: Mapping[str, Key], kind: str) -> Credentials | None:
    # Many services have none, and the module costs Init 4 ms.
    from policy_agent.config.credentials import read_credentials

    return read_credentials(section, keys, kind)


def chosen_service(section: Section, services: Mapping[str, Service]) -> Service | None:
    """Read the service that a section names; without a name there must be exactly one."""
    name = section.text("service")
    if name:
        if name not in services:
            section.problem("service", "is not among services")
        return services.get(name)
    # OPA picks one at random from a map; with more than one that is a guess we do not make.
    if len(services) != 1:
        section.problem("service", "is required unless exactly one service is configured")
        return None
    return next(iter(services.values()))
