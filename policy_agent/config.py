"""The agent's settings: OPA's configuration file read into frozen values.

Pure: a document in, settings and warnings out; `config_source` finds the document. Key names and
defaults are OPA's (v1.22 docs, configuration.md). Every wrong value is reported at once by key;
unknown keys are warnings; a key whose effect cannot be had is an error, never ignored in silence.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from policy_agent import __version__
from policy_agent.config_section import Findings, Section
from policy_agent.errors import ConfigError

DEFAULT_PERSISTENCE_DIRECTORY: Final = "/tmp/policy-agent"  # noqa: S108 - all Lambda lets us write
DEFAULT_BUNDLE_LIMIT_BYTES: Final = 1 << 30  # OPA v1/bundle DefaultSizeLimitBytes
DEFAULT_UPLOAD_LIMIT_BYTES: Final = 32768  # OPA v1/plugins/logs defaultUploadSizeLimitBytes
MIN_UPLOAD_LIMIT_BYTES: Final = 90  # OPA: one event with an id, plus an empty gzip file
MAX_UPLOAD_LIMIT_BYTES: Final = 1 << 32
ALGORITHMS: Final = frozenset(
    f"{family}{bits}" for family in ("ES", "HS", "PS", "RS") for bits in (256, 384, 512)
)
FILE_SCHEME: Final = "file://"
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


@dataclass(frozen=True, slots=True)
class Key:
    """A verification key; the algorithm is pinned here and never taken from a token."""

    id: str
    key: str = field(repr=False)
    algorithm: str = "RS256"
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Delays:
    """Seconds between two runs: a uniform draw from [min, max] (OPA's polling and reporting)."""

    min_seconds: float
    max_seconds: float


@dataclass(frozen=True, slots=True)
class Signing:
    """What a bundle's signature must satisfy."""

    key_id: str = ""
    scope: str = ""
    exclude_files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old a bundle may be when it decides.

    Attributes:
        max_age_seconds: since the source last said that it is the newest.
        on_stale: beyond that, `serve` decides all the same; `wait` and `deny` wait for a refresh,
            and when none comes through `wait` decides all the same and `deny` refuses.
        wait_ms: how long a decision waits for that refresh.
    """

    max_age_seconds: float
    on_stale: str = "serve"
    wait_ms: int = 500


@dataclass(frozen=True, slots=True)
class BundleSource:
    """Where one bundle comes from.

    Attributes:
        service: None for a `file://` resource.
        resource: a path below the service's URL, or a `file://` URL of an archive or directory.
        persist: whether the last good copy is kept on disk; unlike OPA, by default it is.
        size_limit_bytes: of each file in the archive, unpacked.
        signing: None when no signature is asked for.
        freshness: None when any age will do.
    """

    name: str
    service: Service | None
    resource: str
    polling: Delays = Delays(60, 120)
    persist: bool = True
    size_limit_bytes: int = DEFAULT_BUNDLE_LIMIT_BYTES
    signing: Signing | None = None
    freshness: Freshness | None = None


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
    reporting: Delays = Delays(300, 600)
    upload_size_limit_bytes: int = DEFAULT_UPLOAD_LIMIT_BYTES
    mask_decision: str = "system/log/mask"
    drop_decision: str = "system/log/drop"
    audit_key: str = field(default="", repr=False)
    audit_key_path: str = ""


@dataclass(frozen=True, slots=True)
class StatusReports:
    """Where status is posted."""

    service: Service | None
    resource: str = "/status"


@dataclass(frozen=True, slots=True)
class Server:
    """Limits of the HTTP server (OPA's `server` section)."""

    max_request_bytes: int = 268435456
    max_gzip_bytes: int = 536870912
    gzip_min_length: int = 1024
    gzip_level: int = 9


@dataclass(frozen=True, slots=True)
class Config:
    """Everything the agent was told, with defaults filled in.

    Attributes:
        labels: `id` and `version` are always ours, as in OPA.
        on_init_failure: `deny` answers without a policy, `fail` reports init/error and exits.
        warnings: sentences for the log, such as unknown keys.
    """

    labels: Mapping[str, str]
    services: Mapping[str, Service] = field(default_factory=dict)
    keys: Mapping[str, Key] = field(default_factory=dict)
    bundles: Mapping[str, BundleSource] = field(default_factory=dict)
    decision_logs: DecisionLogs | None = None
    status: StatusReports | None = None
    server: Server = Server()
    default_decision: str = "system/main"
    persistence_directory: str = DEFAULT_PERSISTENCE_DIRECTORY
    on_init_failure: str = "deny"
    warnings: tuple[str, ...] = ()


def parse_config(document: Mapping[str, Any]) -> Config:
    """Check a configuration document and fill in defaults.

    Raises:
        ConfigError: with one problem per wrong value; nothing is returned half-checked.
    """
    findings = Findings()
    top = Section(document, "", findings)
    services = {name: _service(section, name) for name, section in top.sections("services").items()}
    keys = {name: _key(section, name) for name, section in top.sections("keys").items()}
    config = default_config(
        services=services,
        keys=keys,
        bundles={
            name: _bundle(section, name, services, keys)
            for name, section in top.sections("bundles").items()
        },
        decision_logs=_decision_logs(top.section("decision_logs"), services)
        if top.has("decision_logs")
        else None,
        status=_status(top.section("status"), services) if top.has("status") else None,
        server=_server(top.section("server")),
        default_decision=top.text("default_decision", "/system/main").strip("/"),
        persistence_directory=top.text("persistence_directory", DEFAULT_PERSISTENCE_DIRECTORY),
        on_init_failure=top.choice("on_init_failure", ("deny", "fail")),
        labels=top.strings("labels"),
    )
    top.refuse("discovery", "plugins", "storage", "bundle")
    top.ignore(
        "caching",
        "default_authorization_decision",
        "distributed_tracing",
        "metrics_export",
        "nd_builtin_cache",
    )
    top.finish()
    if findings.problems:
        raise ConfigError(findings.problems)
    return replace(config, warnings=tuple(findings.warnings))


def default_config(*, labels: Mapping[str, str] | None = None, **settings: Any) -> Config:
    """Return settings with OPA's defaults for all that is not given.

    An agent whose configuration is wrong runs on these, so that it can still answer and say why.
    """
    own = {"id": str(uuid.uuid4()), "version": __version__}
    return Config(labels={**(labels or {}), **own}, **settings)


def with_bundle_path(config: Config, path: Path) -> Config:
    """Return `config` with one more bundle, read from an archive or a directory (`-b`)."""
    name = path.name or "bundle"
    source = BundleSource(name=name, service=None, resource=FILE_SCHEME + str(path.absolute()))
    return replace(config, bundles={**config.bundles, name: source})


def _service(section: Section, name: str) -> Service:
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


def _key(section: Section, name: str) -> Key:
    algorithm = section.text("algorithm", "RS256")
    if algorithm not in ALGORITHMS:
        section.problem("algorithm", f"must be one of {', '.join(sorted(ALGORITHMS))}")
    key = section.text("key", required=True)
    scope = section.text("scope")
    section.text("private_key")
    section.finish()
    return Key(id=name, key=key, algorithm=algorithm, scope=scope)


def _bundle(
    section: Section, name: str, services: Mapping[str, Service], keys: Mapping[str, Key]
) -> BundleSource:
    resource = section.text("resource", f"bundles/{name}")
    is_file = resource.startswith(FILE_SCHEME)
    polling = section.section("polling")
    source = BundleSource(
        name=name,
        service=None if is_file else _chosen_service(section, services),
        resource=resource,
        polling=_delays(polling, Delays(60, 120)),
        persist=section.flag("persist", default=True),
        size_limit_bytes=section.integer(
            "size_limit_bytes", DEFAULT_BUNDLE_LIMIT_BYTES, at_least=1
        ),
        signing=_signing(section.section("signing"), keys) if section.has("signing") else None,
        freshness=_freshness(section, is_file=is_file),
    )
    polling.ignore("long_polling_timeout_seconds", "superseded_etag_ttl_seconds")
    polling.finish()
    section.choice("trigger", ("periodic",))
    section.finish()
    return source


def _freshness(section: Section, *, is_file: bool) -> Freshness | None:
    on_stale = section.choice("on_stale", ("serve", "wait", "deny"))
    wait_ms = section.integer("wait_ms", 500)
    max_age_seconds = section.number("max_age_seconds", 0)
    if not section.has("max_age_seconds"):
        if section.has("on_stale") or section.has("wait_ms"):
            section.problem("max_age_seconds", "is required with on_stale and wait_ms")
        return None
    if is_file:
        section.problem("max_age_seconds", "needs a service: a file has no age")
    return Freshness(max_age_seconds, on_stale, wait_ms)


def _signing(section: Section, keys: Mapping[str, Key]) -> Signing:
    signing = Signing(
        key_id=section.text("keyid"),
        scope=section.text("scope"),
        exclude_files=section.texts("exclude_files"),
    )
    if not keys:
        section.problem("keyid", "no verification keys configured under keys")
    elif signing.key_id and signing.key_id not in keys:
        section.problem("keyid", "is not among keys")
    section.refuse("allow_unsigned_delta_bundles")
    section.finish()
    return signing


def _decision_logs(section: Section, services: Mapping[str, Service]) -> DecisionLogs:
    reporting = section.section("reporting")
    console = section.flag("console")
    resource = section.text("resource", "/logs")
    if partition := section.text("partition_name"):
        resource = f"/logs/{partition}"
    wants_service = section.has("service") or not console
    logs = DecisionLogs(
        service=_chosen_service(section, services) if wants_service else None,
        resource=resource,
        console=console,
        reporting=_delays(reporting, Delays(300, 600)),
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


def _status(section: Section, services: Mapping[str, Service]) -> StatusReports:
    resource = "/status"
    if partition := section.text("partition_name"):
        resource = f"/status/{partition}"
    # OPA needs no receiver where it prints the status or exposes it to Prometheus.
    elsewhere = section.has("console") or section.has("prometheus")
    wants_service = section.has("service") or not elsewhere
    reports = StatusReports(
        service=_chosen_service(section, services) if wants_service else None, resource=resource
    )
    section.ignore("console", "prometheus", "prometheus_config", "trigger")
    section.refuse("plugin")
    section.finish()
    return reports


def _server(section: Section) -> Server:
    default = Server()
    decoding, encoding = section.section("decoding"), section.section("encoding")
    gzip_in, gzip_out = decoding.section("gzip"), encoding.section("gzip")
    level = gzip_out.integer("compression_level", default.gzip_level)
    if level not in (0, 1, 9):
        gzip_out.problem("compression_level", "must be 0, 1 or 9")
    server = Server(
        max_request_bytes=decoding.integer("max_length", default.max_request_bytes, at_least=1),
        max_gzip_bytes=gzip_in.integer("max_length", default.max_gzip_bytes, at_least=1),
        gzip_min_length=gzip_out.integer("min_length", default.gzip_min_length),
        gzip_level=level,
    )
    section.ignore("metrics")
    section.refuse("logger_plugin")
    for part in (gzip_in, gzip_out, decoding, encoding, section):
        part.finish()
    return server


def _chosen_service(section: Section, services: Mapping[str, Service]) -> Service | None:
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


def _delays(section: Section, default: Delays) -> Delays:
    if section.has("min_delay_seconds") != section.has("max_delay_seconds"):
        section.problem("min_delay_seconds", "goes together with max_delay_seconds")
    low = section.number("min_delay_seconds", default.min_seconds)
    high = section.number("max_delay_seconds", default.max_seconds)
    if high < low:
        section.problem("max_delay_seconds", "must not be less than min_delay_seconds")
    return Delays(low, high)


def _clamp(value: int, low: int, high: int) -> int:
    return max(low, min(value, high))
