"""Where decisions are recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from policy_agent.config.delays import Delays, read_delays
from policy_agent.config.section import Section
from policy_agent.config.services import Service, chosen_service

DEFAULT_UPLOAD_LIMIT_BYTES: Final = 32768  # OPA v1/plugins/logs defaultUploadSizeLimitBytes
MIN_UPLOAD_LIMIT_BYTES: Final = 90  # OPA: one event with an id, plus an empty gzip file
MAX_UPLOAD_LIMIT_BYTES: Final = 1 << 32
DEFAULT_REPORTING: Final = Delays(300, 600)


@dataclass(frozen=True, slots=True)
class DecisionLogs:
    """Where decisions are recorded.

    Attributes:
        service: None when entries only go to the console.
        audit_key: secret of the chain through all entries; "" for none.
        audit_key_path: a file that holds it, read once at the start.
    """

    service: Service | None
    resource: str = "/logs"
    console: bool = False
    reporting: Delays = DEFAULT_REPORTING
    upload_size_limit_bytes: int = DEFAULT_UPLOAD_LIMIT_BYTES
    mask_decision: str = "system/log/mask"
    drop_decision: str = "system/log/drop"
    audit_key: str = field(default="", repr=False)
    audit_key_path: str = ""


def read_decision_logs(section: Section, services: Mapping[str, Service]) -> DecisionLogs:
    """Read `decision_logs`."""
    reporting = section.section("reporting")
    console = section.flag("console")
    resource = section.text("resource", "/logs")
    if partition := section.text("partition_name"):
        resource = f"/logs/{partition}"
    wants_service = section.has("service") or not console
    logs = DecisionLogs(
        service=chosen_service(section, services) if wants_service else None,
        resource=resource,
        console=console,
        reporting=read_delays(reporting, DEFAULT_REPORTING),
        upload_size_limit_bytes=_clamp(
            reporting.integer("upload_size_limit_bytes", DEFAULT_UPLOAD_LIMIT_BYTES, at_least=1),
            MIN_UPLOAD_LIMIT_BYTES,
            MAX_UPLOAD_LIMIT_BYTES,
        ),
        mask_decision=section.text("mask_decision", "/system/log/mask").strip("/"),
        drop_decision=section.text("drop_decision", "/system/log/drop").strip("/"),
        audit_key=section.text("audit_key"),
        audit_key_path=section.text("audit_key_path"),
    )
    if logs.audit_key and logs.audit_key_path:
        section.problem("audit_key", "must not be given together with audit_key_path")
    reporting.ignore(
        "buffer_size_limit_bytes", "buffer_size_limit_events", "buffer_type", "trigger"
    )
    reporting.refuse("max_decisions_per_second")
    reporting.finish()
    section.refuse("plugin", "request_context")
    section.finish()
    return logs


def _clamp(value: int, low: int, high: int) -> int:
    return max(low, min(value, high))
