"""The whole configuration document read into frozen values.

Pure: a document in, settings and warnings out; `source` finds the document. Key names and
defaults are OPA's (v1.22 docs, configuration.md). Every wrong value is reported at once by key;
unknown keys are warnings; a key whose effect cannot be had is an error, never ignored in silence.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from msgspec import field
from msgspec.structs import replace

from policy_agent import __version__
from policy_agent.config.authzen import AuthZen, read_authzen
from policy_agent.config.bundles import FILE_SCHEME, BundleSource, read_bundle
from policy_agent.config.cost_metrics import CostMetrics, read_cost_metrics
from policy_agent.config.decision_logs import DecisionLogs, read_decision_logs
from policy_agent.config.identity import Identity, read_identity
from policy_agent.config.keys import Key, read_key
from policy_agent.config.section import Findings, Section
from policy_agent.config.server import DEFAULT_SERVER, Server, read_server
from policy_agent.config.services import Service, read_service
from policy_agent.config.status_reports import StatusReports, read_status_reports
from policy_agent.errors import ConfigError
from policy_agent.record import Record

if TYPE_CHECKING:
    from policy_agent.config.discovery import Discovery

DEFAULT_DECISION_CACHE_BYTES: Final = 4 << 20
DEFAULT_PERSISTENCE_DIRECTORY: Final = "/tmp/policy-agent"  # noqa: S108 - all Lambda lets us write


class Config(Record, frozen=True):
    """Everything the agent was told, with defaults filled in.

    Attributes:
        labels: `id` and `version` are always ours, as in OPA.
        rego_version: of modules of which their bundle's manifest says nothing; as in OPA not of
            the document, but a flag.
        nd_builtin_cache: whether log entries tell what the clock, chance and the like said.
        decision_cache_bytes: for answers that may be given again; 0 for none.
        on_init_failure: `deny` answers without a policy, `fail` reports init/error and exits.
        document: as it was given, secrets included.
        warnings: sentences for the log, such as unknown keys.
    """

    unshown: ClassVar[frozenset[str]] = frozenset({"document"})

    labels: Mapping[str, str]
    services: Mapping[str, Service] = field(default_factory=dict)
    keys: Mapping[str, Key] = field(default_factory=dict)
    bundles: Mapping[str, BundleSource] = field(default_factory=dict)
    discovery: Discovery | None = None
    decision_logs: DecisionLogs | None = None
    status: StatusReports | None = None
    cost_metrics: CostMetrics | None = None
    server: Server = DEFAULT_SERVER
    identity: Identity | None = None
    authzen: AuthZen | None = None
    decision_cache_bytes: int = 0
    nd_builtin_cache: bool = False
    default_decision: str = "system/main"
    default_authorization_decision: str = "system/authz/allow"
    persistence_directory: str = DEFAULT_PERSISTENCE_DIRECTORY
    on_init_failure: str = "deny"
    rego_version: int = 1
    document: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def parse_config(document: Mapping[str, Any]) -> Config:
    """Check a configuration document and fill in defaults.

    Raises:
        ConfigError: with one problem per wrong value; nothing is returned half-checked.
    """
    findings = Findings()
    top = Section(document, "", findings)
    keys = {name: read_key(section, name) for name, section in top.sections("keys").items()}
    directory = top.text("persistence_directory", DEFAULT_PERSISTENCE_DIRECTORY)
    services = {
        name: read_service(section, name, keys)
        for name, section in top.sections("services").items()
    }
    config = default_config(
        services=services,
        keys=keys,
        bundles={
            name: read_bundle(section, name, services, keys)
            for name, section in top.sections("bundles").items()
        },
        discovery=_discovery(top, services, keys),
        decision_logs=read_decision_logs(top.section("decision_logs"), services)
        if top.has("decision_logs")
        else None,
        status=read_status_reports(top.section("status"), services) if top.has("status") else None,
        cost_metrics=read_cost_metrics(top.section("cost_metrics")),
        server=read_server(top.section("server"), directory),
        nd_builtin_cache=top.flag("nd_builtin_cache"),
        decision_cache_bytes=_decision_cache_bytes(top),
        identity=read_identity(top.section("identity")) if top.has("identity") else None,
        authzen=read_authzen(top.section("authzen")) if top.has("authzen") else None,
        default_decision=top.text("default_decision", "/system/main").strip("/"),
        default_authorization_decision=top.text(
            "default_authorization_decision", "/system/authz/allow"
        ).strip("/"),
        persistence_directory=directory,
        on_init_failure=top.choice("on_init_failure", ("deny", "fail")),
        labels=top.strings("labels"),
    )
    top.refuse("plugins", "storage", "bundle")
    top.ignore(
        "caching",
        "distributed_tracing",
        "metrics_export",
    )
    top.finish()
    if findings.problems:
        raise ConfigError(findings.problems)
    return replace(config, document=document, warnings=tuple(findings.warnings))


def _discovery(
    top: Section, services: Mapping[str, Service], keys: Mapping[str, Key]
) -> Discovery | None:
    if top.value("discovery") is None:
        return None
    # Late: most agents discover nothing.
    from policy_agent.config.discovery import read_discovery

    return read_discovery(top.section("discovery"), services, keys)


def _decision_cache_bytes(top: Section) -> int:
    if not top.has("decision_cache"):
        return 0
    section = top.section("decision_cache")
    size = section.integer("max_size_bytes", DEFAULT_DECISION_CACHE_BYTES, at_least=1)
    section.finish()
    return size


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
