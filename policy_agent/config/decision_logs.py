"""Where decisions are recorded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Final

from msgspec import Struct, field

from policy_agent.config.delays import Delays, read_delays
from policy_agent.config.section import Section
from policy_agent.config.services import Service, chosen_service
from policy_agent.record import Record

DEFAULT_UPLOAD_LIMIT_BYTES: Final = 32768  # OPA v1/plugins/logs defaultUploadSizeLimitBytes
MIN_UPLOAD_LIMIT_BYTES: Final = 90  # OPA: one event with an id, plus an empty gzip file
MAX_UPLOAD_LIMIT_BYTES: Final = 1 << 32
DEFAULT_REPORTING: Final = Delays(300, 600)
DEFAULT_SPOOL_BYTES: Final = 256 << 20  # half of the smallest /tmp that Lambda gives
STRATEGIES: Final = ("adaptive", "end", "periodic", "continuous")
_SINK_TYPES: Final = ("http", "s3", "firehose", "file", "console")
_SINK_NAME: Final = re.compile("[A-Za-z0-9_-]{1,64}")


class RulePaths(Struct, frozen=True):
    """Where a policy says what is not recorded (`drop`), how often (`sample`) and what is hidden.

    Paths below `data`, slash-separated.
    """

    drop: str = "system/log/drop"
    sample: str = "system/log/sample"
    mask: str = "system/log/mask"


class SpoolLimits(Struct, frozen=True):
    """How entries wait on disk.

    Attributes:
        durability: `write_ahead` writes each entry before its answer is sent, `buffered` soon.
        on_full: what becomes of a decision when there is no room: `deny` it, `block` it for
            `wait_ms` and then deny it, or `drop_oldest` entries in its favour.
        limit_bytes: of each sink's spool.
    """

    durability: str = "write_ahead"
    on_full: str = "deny"
    limit_bytes: int = DEFAULT_SPOOL_BYTES
    wait_ms: float = 1000


class LogSink(Struct, frozen=True):
    """One place that entries go to, independent of the others.

    Attributes:
        kind: `http`, `s3`, `firehose`, `file` or `console`.
        service: None for `file` and `console`.
        target: the resource (`http`), the prefix of keys (`s3`), the delivery stream's name
            (`firehose`) or the path (`file`).
    """

    kind: str
    service: Service | None = None
    target: str = ""
    upload_size_limit_bytes: int = DEFAULT_UPLOAD_LIMIT_BYTES
    rules: RulePaths = RulePaths()


class DecisionLogs(Record, frozen=True):
    """Where decisions are recorded.

    Attributes:
        service: OPA's receiver; None when entries only go to the console or to `sinks`.
        sinks: by name, beside `service`.
        strategy: under Lambda, when entries are shipped: one of `STRATEGIES`.
        interval_seconds: between two shipments where the strategy does not ship at each end.
        last_resort: at SHUTDOWN, what cannot be shipped is printed.
        audit_key: secret of the chain through all entries; "" for none.
        audit_key_path: a file that holds it, read once at the start.
        pseudonym_key: secret that pseudonyms are made with; "" for none.
        pseudonym_key_path: a file that holds it, read once at the start.
    """

    unshown: ClassVar[frozenset[str]] = frozenset({"audit_key", "pseudonym_key"})

    service: Service | None
    resource: str = "/logs"
    console: bool = False
    reporting: Delays = DEFAULT_REPORTING
    strategy: str = "adaptive"
    interval_seconds: float = 10
    upload_size_limit_bytes: int = DEFAULT_UPLOAD_LIMIT_BYTES
    rules: RulePaths = RulePaths()
    spool: SpoolLimits = SpoolLimits()
    sinks: Mapping[str, LogSink] = field(default_factory=dict)
    last_resort: bool = True
    audit_key: str = ""
    audit_key_path: str = ""
    pseudonym_key: str = ""
    pseudonym_key_path: str = ""

    @property
    def destinations(self) -> dict[str, LogSink]:
        """Return every sink by name; OPA's own is called ""."""
        if self.service is None and not self.console:
            return dict(self.sinks)
        kind = "console" if self.service is None else "http"
        limit = self.upload_size_limit_bytes
        return {"": LogSink(kind, self.service, self.resource, limit, self.rules), **self.sinks}


def read_decision_logs(section: Section, services: Mapping[str, Service]) -> DecisionLogs:
    """Read `decision_logs`."""
    reporting = section.section("reporting")
    console = section.flag("console")
    resource = section.text("resource", "/logs")
    if partition := section.text("partition_name"):
        resource = f"/logs/{partition}"
    rules = _read_rules(section, RulePaths())
    sinks = _read_sinks(section, services, rules)
    wants_service = section.has("service") or not (console or sinks)
    logs = DecisionLogs(
        service=chosen_service(section, services) if wants_service else None,
        resource=resource,
        console=console,
        reporting=read_delays(reporting, DEFAULT_REPORTING),
        strategy=reporting.choice("strategy", STRATEGIES),
        interval_seconds=reporting.number("interval_seconds", 10),
        upload_size_limit_bytes=_read_upload_limit(reporting),
        rules=rules,
        spool=_read_spool(section.section("spool")),
        sinks=sinks,
        last_resort=section.choice("last_resort", ("console", "none")) == "console",
        audit_key=section.text("audit_key"),
        audit_key_path=section.text("audit_key_path"),
        pseudonym_key=section.text("pseudonym_key"),
        pseudonym_key_path=section.text("pseudonym_key_path"),
    )
    if logs.audit_key and logs.audit_key_path:
        section.problem("audit_key", "must not be given together with audit_key_path")
    if logs.pseudonym_key and logs.pseudonym_key_path:
        section.problem("pseudonym_key", "must not be given together with pseudonym_key_path")
    reporting.ignore(
        "buffer_size_limit_bytes", "buffer_size_limit_events", "buffer_type", "trigger"
    )
    reporting.refuse("max_decisions_per_second")
    reporting.finish()
    section.refuse("plugin", "request_context")
    section.finish()
    return logs


def _read_rules(section: Section, default: RulePaths) -> RulePaths:
    return RulePaths(
        drop=section.text("drop_decision", default.drop).strip("/"),
        sample=section.text("sample_decision", default.sample).strip("/"),
        mask=section.text("mask_decision", default.mask).strip("/"),
    )


def _read_spool(section: Section) -> SpoolLimits:
    limits = SpoolLimits(
        durability=section.choice("durability", ("write_ahead", "buffered")),
        on_full=section.choice("on_full", ("deny", "block", "drop_oldest")),
        limit_bytes=section.integer("limit_bytes", DEFAULT_SPOOL_BYTES, at_least=1),
        wait_ms=section.number("wait_ms", 1000),
    )
    section.finish()
    return limits


def _read_sinks(
    section: Section, services: Mapping[str, Service], rules: RulePaths
) -> dict[str, LogSink]:
    sinks = {}
    for name, each in section.sections("sinks").items():
        if not _SINK_NAME.fullmatch(name):
            section.problem(f"sinks.{name}", "a name is letters, digits, - and _")
        sinks[name] = _read_sink(each, services, rules)
    return sinks


def _read_sink(section: Section, services: Mapping[str, Service], rules: RulePaths) -> LogSink:
    section.text("name")
    kind = section.choice("type", _SINK_TYPES)
    targets = {
        "http": section.text("resource", "/logs"),
        "s3": section.text("prefix", "decisions").strip("/"),
        "firehose": section.text("stream", required=kind == "firehose"),
        "file": section.text("path", required=kind == "file"),
        "console": "",
    }
    has_service = kind in ("http", "s3", "firehose")
    sink = LogSink(
        kind,
        service=chosen_service(section, services) if has_service else None,
        target=targets[kind],
        upload_size_limit_bytes=_read_upload_limit(section),
        rules=_read_rules(section, rules),
    )
    section.finish()
    return sink


def _read_upload_limit(section: Section) -> int:
    given = section.integer("upload_size_limit_bytes", DEFAULT_UPLOAD_LIMIT_BYTES, at_least=1)
    return max(MIN_UPLOAD_LIMIT_BYTES, min(given, MAX_UPLOAD_LIMIT_BYTES))
