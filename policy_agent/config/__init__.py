"""The agent's settings: OPA's configuration file read into frozen values, one file a section.

`document.parse_config` reads the whole; `source.read_document` finds it. `credentials` and `aws`
are imported when a service has some.
"""

from policy_agent.config.active import active_document
from policy_agent.config.authzen import OBLIGATION_TYPES, AuthZen
from policy_agent.config.bundles import (
    DEFAULT_BUNDLE_LIMIT_BYTES,
    FILE_SCHEME,
    BundleSource,
    Freshness,
    Mirror,
    Signing,
)
from policy_agent.config.cost_metrics import CostMetrics
from policy_agent.config.decision_logs import DecisionLogs, LogSink, RulePaths, SpoolLimits
from policy_agent.config.delays import Delays
from policy_agent.config.document import Config, default_config, parse_config, with_bundle_path
from policy_agent.config.identity import Identity, Issuer
from policy_agent.config.keys import ALGORITHMS, Key
from policy_agent.config.server import PortTokenSource, Server
from policy_agent.config.services import Service
from policy_agent.config.status_reports import StatusReports

__all__ = [
    "ALGORITHMS",
    "DEFAULT_BUNDLE_LIMIT_BYTES",
    "FILE_SCHEME",
    "OBLIGATION_TYPES",
    "AuthZen",
    "BundleSource",
    "Config",
    "CostMetrics",
    "DecisionLogs",
    "Delays",
    "Freshness",
    "Identity",
    "Issuer",
    "Key",
    "LogSink",
    "Mirror",
    "PortTokenSource",
    "RulePaths",
    "Server",
    "Service",
    "Signing",
    "SpoolLimits",
    "StatusReports",
    "active_document",
    "default_config",
    "parse_config",
    "with_bundle_path",
]
