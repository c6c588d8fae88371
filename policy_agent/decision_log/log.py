"""Record decisions and ship them: what the rest of the agent sees of the decision log.

Drop first, then mask, as in OPA (v1.22 v1/plugins/logs/plugin.go, `Log`); then the spool, then the
console. Unlike OPA, an event is never lost: what cannot be masked is recorded without input and
result, and what cannot be stored is an error that must keep the answer from being sent.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from policy_agent.audit_chain import ChainKey, read_key
from policy_agent.config import DecisionLogs
from policy_agent.decision_log.counters import Counters
from policy_agent.decision_log.event import (
    build_closing,
    build_event,
    build_fulfilment,
    with_summary,
)
from policy_agent.decision_log.ids import new_decision_id
from policy_agent.decision_log.mask import masked, parse_rules, withheld
from policy_agent.decision_log.numbering import Numbering
from policy_agent.decision_log.ship import FlushReport, Shipper
from policy_agent.decision_log.sinks.console import ConsoleSink
from policy_agent.decision_log.sinks.http import HttpSink
from policy_agent.decision_log.spool import DEFAULT_LIMIT_BYTES, Spool
from policy_agent.errors import DecisionLogError, EvaluationError, PolicyAgentError
from policy_agent.model import UNDEFINED, Decision, Evaluator, Fulfilment, JsonObject
from policy_agent.service import ServiceClient
from policy_agent.status import DecisionLogStatus

log = logging.getLogger(__name__)

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
        limit_bytes: int = DEFAULT_LIMIT_BYTES,
        stream: TextIO | None = None,
        circumstances: Circumstances = dict,
    ) -> None:
        """Open the log; with a service, what dead predecessors left is adopted at once.

        Args:
            directory: the persistence directory; events wait in a folder below it.
            limit_bytes: how much disk they may take.
            stream: the console, standard output when None.
            circumstances: asked at each decision for what else goes under `custom`.
        """
        self._labels = dict(labels)
        self._circumstances = circumstances
        self._counters = Counters()
        self._hooks = _Hooks(config)
        self._console = ConsoleSink(stream or sys.stdout) if config.console else None
        key, self._problem = _read_key(config)
        self._numbering = Numbering(key)
        self._spool: Spool | None = None
        self._shipper: Shipper | None = None
        if config.service is not None:
            self._spool = Spool(
                directory / SPOOL_FOLDER, limit_bytes=limit_bytes, counters=self._counters
            )
            self._shipper = Shipper(
                self._spool,
                HttpSink(ServiceClient(config.service), config.resource),
                config.upload_size_limit_bytes,
                max_delay_seconds=config.reporting.max_seconds,
                counters=self._counters,
                key=key,
            )

    def record(self, decision: Decision, policy: Evaluator | None) -> None:
        """Store one decision; call it before the answer is sent.

        Args:
            policy: the one that decided, whose mask and drop rules apply. Without one nothing can
                say what is secret, so the input is withheld.

        Raises:
            DecisionLogError: it could not be stored, so the answer must not be sent.
        """
        event = build_event(decision, self._labels, self._circumstances())
        if policy is None:
            event = self._withheld(event, "no policy is active", parts=("input",))
        else:
            filtered = self._filtered(event, policy)
            if filtered is None:
                self._counters.dropped_by_policy += 1
                return
            event = filtered
        self._store(with_summary(event))
        self._counters.recorded += 1

    def record_fulfilment(self, fulfilment: Fulfilment) -> None:
        """Store what became of a decision's obligations, as an entry of its own.

        Raises:
            DecisionLogError: it could not be stored.
        """
        event = build_fulfilment(new_decision_id(), time.time_ns(), self._labels, fulfilment)
        self._store(event)

    def close_stream(self) -> None:
        """Record that the stream ends here; what is recorded later begins a new one.

        Never raises: without the record the stream merely stays open, as after a kill.
        """
        if not self.has_open_stream:
            return
        event = build_closing(new_decision_id(), time.time_ns(), self._labels)
        facts = {
            "closing": True,
            "last_seq": self._numbering.last_seq,
            "dropped_by_policy": self._counters.dropped_by_policy,
        }
        try:
            self._store(event, **facts)
        except DecisionLogError as exc:
            log.warning("The decision log ends without a closing record: %s", exc)
        self._numbering.end()

    @property
    def has_open_stream(self) -> bool:
        """Whether something was recorded since the start or the last `close_stream`."""
        return self._numbering.last_seq > 0

    def _store(self, event: JsonObject, **facts: object) -> None:
        if self._problem:
            raise DecisionLogError(self._problem)
        link = self._numbering.link(event, **facts)
        if self._spool is not None:
            self._spool.append(link.raw)
        self._numbering.accept(link)
        if self._console is not None:
            self._console.write(link.event)

    async def flush(self, budget_seconds: float, *, force: bool = False) -> FlushReport:
        """Ship what is stored, for at most `budget_seconds`; `force` ignores the back-off.

        Failures are in the report and in `status`; nothing is raised, nothing is lost.
        """
        if self._shipper is None:
            return FlushReport(0, 0)
        return await self._shipper.flush(budget_seconds, force=force)

    @property
    def backlog_events(self) -> int:
        """How many events wait to be shipped, those of dead predecessors included."""
        return self._spool.backlog_events if self._spool is not None else 0

    @property
    def has_backlog(self) -> bool:
        """Whether there is anything to flush."""
        return self.backlog_events > 0

    @property
    def status(self) -> DecisionLogStatus:
        """How shipping stands, with every counter."""
        error = self._shipper.error if self._shipper is not None else None
        counters = self._counters.to_json()
        if error is None:
            return DecisionLogStatus(counters=counters)
        http_code = getattr(error, "http_code", None)
        return DecisionLogStatus(error.code, str(error), http_code, counters)

    def close(self) -> None:
        """Let go of the files; what has not been shipped stays for the successor."""
        if self._spool is not None:
            self._spool.close()

    def _filtered(self, event: JsonObject, policy: Evaluator) -> JsonObject | None:
        try:
            drop, mask = self._hooks.of(policy)
            if drop and _evaluated(policy, drop, event) is True:
                return None
            rules = _evaluated(policy, mask, event) if mask else UNDEFINED
            if rules is UNDEFINED:
                return event
            result = masked(event, parse_rules(rules))
        except DecisionLogError as exc:
            return self._withheld(event, str(exc))
        self._counters.masked += "erased" in result or "masked" in result
        return result

    def _withheld(self, event: JsonObject, reason: str, **parts: Any) -> JsonObject:
        self._counters.withheld += 1
        return withheld(event, reason, **parts)


def _read_key(config: DecisionLogs) -> tuple[ChainKey, str]:
    """Return the key, or none and why nothing can be recorded: an agent that exits helps nobody."""
    if not config.audit_key_path:
        return ChainKey(read_key(config.audit_key.encode())), ""
    try:
        secret = read_key(Path(config.audit_key_path).read_bytes())
    except OSError as exc:
        return ChainKey(), f"decision_logs.audit_key_path: cannot be read: {exc.strerror}"
    return ChainKey(secret), "" if secret else "decision_logs.audit_key_path: the file is empty"


class _Hooks:
    """Which of the drop and mask decisions a policy defines, asked once per policy."""

    def __init__(self, config: DecisionLogs) -> None:
        self._paths = (config.drop_decision, config.mask_decision)
        self._policy: Evaluator | None = None
        self._defined = ("", "")

    def of(self, policy: Evaluator) -> tuple[str, str]:
        """Return the paths to evaluate, drop and mask, "" for one that is always undefined."""
        if policy is not self._policy:
            drop, mask = self._paths
            self._defined = (
                drop if _defines(policy, drop) else "",
                mask if _defines(policy, mask) else "",
            )
            self._policy = policy
        return self._defined


def _defines(policy: Evaluator, path: str) -> bool:
    for rule in policy.rules:
        # A rule above the path counts as well: `log := {"mask": ...}` in package system.
        if f"{rule}/".startswith(f"{path}/") or f"{path}/".startswith(f"{rule}/"):
            return True
    return _evaluated(policy, path, UNDEFINED) is not UNDEFINED  # base data can hold rules too


def _evaluated(policy: Evaluator, path: str, event: Any) -> Any:
    try:
        return policy.evaluate(path, event)
    except PolicyAgentError as exc:
        # Only the code: the message may quote the input.
        code = exc.problem.code if isinstance(exc, EvaluationError) else exc.code
        msg = f"{path} could not be evaluated: {code}"
        raise DecisionLogError(msg) from exc
