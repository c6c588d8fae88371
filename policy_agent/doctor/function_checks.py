"""Whether the agent beside a function would have a policy: its configuration, tried for real."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from policy_agent.bundle.manager import BundleManager
from policy_agent.config import Config, parse_config
from policy_agent.config.source import CONFIG_VARIABLE, PACKAGED_NAMES, read_document
from policy_agent.doctor.finding import Finding, error, ok, warning
from policy_agent.errors import ConfigError
from policy_agent.rego import Policy
from policy_agent.status import State


def read_settings(
    directory: Path, environ: Mapping[str, str], file: str | None
) -> tuple[Config | None, list[Finding]]:
    """Read the configuration as the agent beside the function in `directory` would.

    Returns:
        the settings, None when they are wrong or absent; and what there is to say of them.
    """
    try:
        document = read_document({**environ, "LAMBDA_TASK_ROOT": str(directory)}, file)
        config = parse_config(document)
    except ConfigError as exc:
        wrong = "correct it; docs/configuration.md lists every setting"
        return None, [error(*_split(problem), wrong) for problem in exc.problems]
    if not document:
        names = ", ".join(PACKAGED_NAMES)
        remedy = f"add one of {names} to the function, or set {CONFIG_VARIABLE}"
        return None, [error(str(directory), "has no configuration: every decision denies", remedy)]
    findings = [
        warning(*_split(text), "remove it, or check its spelling") for text in config.warnings
    ]
    if not config.bundles:
        remedy = "name a bundle under bundles"
        findings.append(error("bundles", "none are configured: every decision denies", remedy))
    if config.decision_logs is None:
        remedy = "add decision_logs"
        findings.append(warning("decision_logs", "decisions are not recorded", remedy))
    return config, findings or [ok("configuration", "all settings are known")]


async def try_bundles(config: Config, timeout_seconds: float) -> list[Finding]:
    """Fetch, verify and activate every bundle as the agent does at Init; nothing is kept."""
    findings = []
    with tempfile.TemporaryDirectory(prefix="policy-agent-doctor-") as directory:
        bundles = BundleManager(
            config.bundles,
            keys=config.keys,
            persistence_directory=Path(directory),
            compile_policy=Policy.from_modules,
            activate=lambda snapshot: None,
        )
        await bundles.start(timeout_seconds)
        for name, status in bundles.statuses.items():
            subject = f"bundles.{name}"
            if status.state is State.OK:
                revision = status.active_revision or "without a revision"
                findings.append(ok(subject, f"fetched and active, {revision}"))
            else:
                reason = status.message or f"not there within {timeout_seconds:g} s"
                remedy = "see that this machine may reach and read it, then look at the bundle"
                findings.append(error(subject, reason, remedy))
        if bundles.snapshot is not None:
            bundles.snapshot.policy.close()
    return findings


def _split(problem: str) -> tuple[str, str]:
    subject, _, message = problem.partition(": ")
    return subject, message
