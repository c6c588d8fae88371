"""Where status is posted."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from policy_agent.config.section import Section
from policy_agent.config.services import Service, chosen_service


class StatusReports(Struct, frozen=True):
    """Where status is posted."""

    service: Service | None
    resource: str = "/status"


def read_status_reports(section: Section, services: Mapping[str, Service]) -> StatusReports:
    """Read `status`."""
    resource = "/status"
    if partition := section.text("partition_name"):
        resource = f"/status/{partition}"
    # OPA needs no receiver where it prints the status or exposes it to Prometheus.
    elsewhere = section.has("console") or section.has("prometheus")
    wants_service = section.has("service") or not elsewhere
    reports = StatusReports(
        service=chosen_service(section, services) if wants_service else None, resource=resource
    )
    section.ignore("console", "prometheus", "prometheus_config", "trigger")
    section.refuse("plugin")
    section.finish()
    return reports
