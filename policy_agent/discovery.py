"""Keep the discovered configuration fresh: a bundle like others whose decision is settings.

The bundle counts as active once its decision is a configuration that could be in force, so a bad
one leaves the one before it, and that one's ETag, as they are.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from weakref import WeakKeyDictionary

from msgspec.structs import replace

from policy_agent.bundle.manager import BundleManager
from policy_agent.bundle.switch import NO_VERSIONS
from policy_agent.config import Config, active_document
from policy_agent.config.discovered import discovered_config
from policy_agent.config.discovery import DISCOVERY
from policy_agent.errors import BundleActivationError, ConfigError, EvaluationError
from policy_agent.model import UNDEFINED, Evaluator, JsonObject, Snapshot
from policy_agent.rego import Policy
from policy_agent.rego.options import CompileOptions
from policy_agent.status import BundleStatus

log = logging.getLogger(__name__)

_OVERRIDDEN = "Keys in the discovered configuration overridden by boot configuration: "
_Found = tuple[Config, list[str]]


class Discovery:
    """Finds the configuration; the agent puts it in force."""

    def __init__(self, boot: Config) -> None:
        """Begin with what the agent was started with, which has `discovery`."""
        assert boot.discovery is not None
        self._boot = boot
        self._decision = boot.discovery.decision
        self._found: _Found = (boot, [])
        # One that was cut short may still be compiled when the next one is.
        self._candidates: WeakKeyDictionary[Evaluator, _Found] = WeakKeyDictionary()
        self._bundle = BundleManager(
            {DISCOVERY: boot.discovery.source},
            keys=boot.keys,
            # A policy bundle may have the same name.
            persistence_directory=Path(boot.persistence_directory) / DISCOVERY,
            compile_policy=self._compile,
            activate=self._adopt,
        )

    @property
    def config(self) -> Config:
        """The newest good configuration, the boot configuration before there is any."""
        return self._found[0]

    @property
    def status(self) -> BundleStatus:
        """How the discovery bundle stands, in OPA's words where boot settings override it."""
        status, (_, overridden) = self._bundle.statuses[DISCOVERY], self._found
        if overridden and not status.code:
            return replace(status, message=_OVERRIDDEN + ", ".join(overridden))
        return status

    async def start(self, timeout_seconds: float) -> None:
        """Take the copy on disk, then fetch the bundle; how it went is in `status`."""
        await self._bundle.start(timeout_seconds)

    async def refresh(self, timeout_seconds: float) -> None:
        """Fetch the bundle when it is due."""
        await self._bundle.refresh(timeout_seconds)

    def seconds_until_due(self) -> float | None:
        """Return how long until `refresh` has something to do, None when it never will."""
        return self._bundle.seconds_until_due()

    def _compile(
        self,
        modules: Mapping[str, str],
        data: JsonObject,
        *,
        plan: bytes | None = None,
        rego_versions: Mapping[str, int] = NO_VERSIONS,
    ) -> Evaluator:
        labels = self._boot.labels
        about = {"id": labels["id"], "version": labels["version"]}
        options = CompileOptions(
            rego_version=self._boot.rego_version,
            runtime={**about, "config": active_document(self._boot)},
        )
        policy = Policy.from_modules(modules, data, rego_versions=rego_versions, options=options)
        try:
            found = policy.evaluate(self._decision)
            if found is UNDEFINED:
                raise BundleActivationError("undefined configuration")
            self._candidates[policy] = discovered_config(self._boot, found, os.environ)
        except EvaluationError as exc:
            raise BundleActivationError(f"the configuration cannot be evaluated: {exc}") from exc
        except ConfigError as exc:
            raise BundleActivationError(f"discovered configuration: {exc}") from exc
        return policy

    def _adopt(self, snapshot: Snapshot | None) -> None:
        assert snapshot is not None
        self._found = self._candidates[snapshot.policy]
        for warning in self.config.warnings:
            log.warning("discovered configuration: %s", warning)
