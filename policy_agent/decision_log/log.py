"""Record decisions and ship them: what the rest of the agent sees of the decision log.

Unlike in OPA (v1.22 v1/plugins/logs/plugin.go, `Log`) no event is ever lost: what cannot be masked
is recorded without input and result, and what cannot be stored is an error that must keep the
answer from being sent.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from msgspec.structs import replace

from policy_agent.audit_chain import ChainKey, read_key
from policy_agent.config import DecisionLogs
from policy_agent.decision_log.event import build_event, build_fulfilment
from policy_agent.decision_log.ids import new_decision_id
from policy_agent.decision_log.mask import Pseudonyms
from policy_agent.decision_log.outlet import Outlet, Secrets
from policy_agent.decision_log.ship import FlushReport
from policy_agent.decision_log.sinks.console import ConsoleSink
from policy_agent.errors import DecisionLogError
from policy_agent.model import Decision, Evaluator, Evidence, Fulfilment, JsonObject
from policy_agent.status import DecisionLogStatus

SPOOL_FOLDER = "decision-logs"

Circumstances = Callable[[], Mapping[str, Any]]


class DecisionLog:
    """Records on the event loop, in microseconds; ships when told to."""

    def __init__(
        self,
        config: DecisionLogs,
        labels: Mapping[str, str],
        directory: Path,
        *,
        nd_builtin_cache: bool = False,
        stream: TextIO | None = None,
        circumstances: Circumstances = dict,
    ) -> None:
        """Open the log; what dead predecessors left is adopted at once.

        Args:
            directory: the persistence directory; events wait in folders below it.
            nd_builtin_cache: whether entries hold results that do not follow from the input.
            stream: the console, standard output when None.
            circumstances: asked at each decision for what else goes under `custom`.
        """
        self._labels = dict(labels)
        self._circumstances = circumstances
        self._nd_builtin_cache = nd_builtin_cache
        self._console = ConsoleSink(stream or sys.stdout)
        self._wait_seconds = config.spool.wait_ms / 1000 if config.spool.on_full == "block" else 0.0
        self._last_resort = config.last_resort
        secrets = _read_secrets(config)
        self._outlets = {
            name: Outlet(
                sink,
                config,
                self._labels,
                directory / SPOOL_FOLDER / name,
                secrets,
                self._console if sink.kind == "console" or (not name and config.console) else None,
            )
            for name, sink in config.destinations.items()
        }

    def record(self, decision: Decision, policy: Evaluator | None) -> None:
        """Store one decision; call it before the answer is sent.

        Args:
            policy: the one that decided, whose rules apply. Without one nothing can say what is
                secret, so the input is withheld.

        Raises:
            SpoolFullError: there is no room for it; `make_room` and a new decision may help.
            DecisionLogError: a sink could not store it, so the answer must not be sent.
        """
        event = build_event(decision, self._labels, self._circumstances())
        if self._nd_builtin_cache and decision.evidence is not None:
            event |= _nd_builtin_cache(decision.evidence)
        for outlet in self._outlets.values():
            outlet.record(event, policy)

    def record_fulfilment(self, fulfilment: Fulfilment) -> None:
        """Store what became of a decision's obligations, as an entry of its own.

        Raises:
            DecisionLogError: it could not be stored.
        """
        event = build_fulfilment(new_decision_id(), time.time_ns(), self._labels, fulfilment)
        for outlet in self._outlets.values():
            outlet.store(event)

    def close_stream(self) -> None:
        """Record that the streams end here; what is recorded later begins new ones.

        Never raises: without the record a stream merely stays open, as after a kill.
        """
        for outlet in self._outlets.values():
            outlet.close_stream()

    @property
    def has_open_stream(self) -> bool:
        """Whether something was recorded since the start or the last `close_stream`."""
        return any(outlet.has_open_stream for outlet in self._outlets.values())

    async def flush(
        self, budget_seconds: float, *, force: bool = False, is_last: bool = False
    ) -> FlushReport:
        """Ship what is stored to all sinks at once, for at most `budget_seconds`.

        Failures are in the report and in `status`; nothing is raised, nothing is lost.

        Args:
            force: ignore the back-off.
            is_last: nobody may come for what is left, so print it unless configured otherwise.
        """
        outlets = self._outlets.values()
        if is_last and self._last_resort:
            flushes = [outlet.flush_last(budget_seconds, self._console) for outlet in outlets]
        else:
            flushes = [outlet.flush(budget_seconds, force=force) for outlet in outlets]
        reports = await asyncio.gather(*flushes)
        return FlushReport(
            sum(report.shipped for report in reports),
            sum(report.left for report in reports),
            next((report.error for report in reports if report.error), None),
        )

    async def make_room(self) -> bool:
        """Ship for as long as a decision may wait for room; False when none may wait."""
        if not self._wait_seconds:
            return False
        await self.flush(self._wait_seconds, force=True)
        return True

    @property
    def is_shipping(self) -> bool:
        """Whether something is being shipped."""
        return any(outlet.is_shipping for outlet in self._outlets.values())

    def adopt(self) -> None:
        """Take over what others have left on disk."""
        for outlet in self._outlets.values():
            outlet.adopt()

    @property
    def backlog_events(self) -> int:
        """How many events wait to be shipped, those of dead predecessors included."""
        return sum(outlet.backlog_events for outlet in self._outlets.values())

    @property
    def shipped_bytes(self) -> int:
        """How many bytes all sinks together have accepted."""
        return sum(outlet.counters.shipped_bytes for outlet in self._outlets.values())

    @property
    def has_backlog(self) -> bool:
        """Whether there is anything to flush."""
        return self.backlog_events > 0

    @property
    def status(self) -> DecisionLogStatus:
        """How shipping stands: OPA's sink by itself, the others by name."""
        statuses = {name: _status_of(outlet) for name, outlet in self._outlets.items()}
        own = statuses.pop("", DecisionLogStatus())
        return replace(own, sinks=statuses)

    def close(self) -> None:
        """Let go of the files; what has not been shipped stays for the successor."""
        for outlet in self._outlets.values():
            outlet.close()


def _nd_builtin_cache(evidence: Evidence) -> JsonObject:
    cache = evidence.nd_builtin_cache
    return {"nd_builtin_cache": cache} if cache else {}


def _status_of(outlet: Outlet) -> DecisionLogStatus:
    error, counters = outlet.error, outlet.counters.to_json()
    if error is None:
        return DecisionLogStatus(counters=counters)
    return DecisionLogStatus(error.code, str(error), getattr(error, "http_code", None), counters)


def _read_secrets(config: DecisionLogs) -> Secrets:
    """Return the keys; without one that is asked for nothing can be recorded.

    An agent that exits helps nobody.
    """
    try:
        chain = _read_secret("audit_key", config.audit_key, config.audit_key_path)
        pseudonym = _read_secret("pseudonym_key", config.pseudonym_key, config.pseudonym_key_path)
    except DecisionLogError as exc:
        return Secrets(ChainKey(), problem=str(exc))
    return Secrets(ChainKey(chain), Pseudonyms(pseudonym) if pseudonym else None)


def _read_secret(name: str, text: str, path: str) -> bytes:
    if not path:
        return read_key(text.encode())
    try:
        secret = read_key(Path(path).read_bytes())
    except OSError as exc:
        msg = f"decision_logs.{name}_path: cannot be read: {exc.strerror}"
        raise DecisionLogError(msg) from exc
    if not secret:
        raise DecisionLogError(f"decision_logs.{name}_path: the file is empty")
    return secret
