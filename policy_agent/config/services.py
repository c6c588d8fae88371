"""Servers that bundles come from and logs go to, and how they know us."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from policy_agent.config.section import Section

_HTTP_URL = re.compile(r"https?://[^\s/]")


@dataclass(frozen=True, slots=True)
class Credentials:
    """How a service knows us: a bearer token, or a file that holds one and is read each time."""

    token: str = field(default="", repr=False)
    token_path: str = ""
    scheme: str = "Bearer"


@dataclass(frozen=True, slots=True)
class Service:
    """An HTTP server that bundles come from or logs go to."""

    name: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    credentials: Credentials | None = None
    response_timeout_seconds: float = 10
    allow_insecure_tls: bool = False
    ca_cert: str = ""


def read_service(section: Section, name: str) -> Service:
    """Read one entry of `services`."""
    section.text("name")
    url = section.text("url", required=True).rstrip("/")
    if url and not _HTTP_URL.match(url):
        section.problem("url", "must be an http or https URL")
    credentials = section.section("credentials")
    tls = section.section("tls")
    service = Service(
        name=name,
        url=url,
        headers=section.strings("headers"),
        credentials=_credentials(credentials) if section.has("credentials") else None,
        response_timeout_seconds=section.number("response_header_timeout_seconds", 10),
        allow_insecure_tls=section.flag("allow_insecure_tls"),
        ca_cert=tls.text("ca_cert"),
    )
    tls.ignore("system_ca_required")
    tls.finish()
    section.refuse("type")
    section.finish()
    return service


def _credentials(section: Section) -> Credentials | None:
    section.refuse(
        "azure_managed_identity", "client_tls", "gcp_metadata", "oauth2", "plugin", "s3_signing"
    )
    bearer = section.section("bearer")
    credentials = Credentials(
        token=bearer.text("token"),
        token_path=bearer.text("token_path"),
        scheme=bearer.text("scheme", "Bearer"),
    )
    if section.has("bearer") and bool(credentials.token) == bool(credentials.token_path):
        section.problem("bearer", "must have exactly one of token and token_path")
    bearer.finish()
    section.finish()
    return credentials if section.has("bearer") else None


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
