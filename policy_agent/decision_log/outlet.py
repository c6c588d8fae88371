"""One sink with all that makes it independent of the others: rules, numbers, spool and shipper.

What one sink masks, lacks or refuses changes nothing for another, and each store can be verified by
itself: every sink has a stream of its own.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from policy_agent.audit_chain import ChainKey
from policy_agent.codec import decode_json
from policy_agent.config import DecisionLogs, LogSink
from policy_agent.decision_log.counters import Counters
from policy_agent.decision_log.event import build_closing, with_summary
from policy_agent.decision_log.ids import new_decision_id
from policy_agent.decision_log.mask import Pseudonyms
from policy_agent.decision_log.numbering import Numbering
from policy_agent.decision_log.rules import LogRules
from policy_agent.decision_log.ship import FlushReport, Shipper
from policy_agent.decision_log.sinks import open_sink
from policy_agent.decision_log.sinks.console import ConsoleSink
from policy_agent.decision_log.spool import Spool
from policy_agent.errors import DecisionLogError, DocumentError
from policy_agent.model import Evaluator, JsonObject

log = logging.getLogger(__name__)

WRITE_OUT_SECONDS: Final = 0.5  # how long a buffered entry may wait where nothing is shipped
LAST_RESORT_SECONDS: Final = 0.5  # of the budget of the last flush, kept for printing


class Secrets(Struct, frozen=True):
    """What entries are made with.

    Attributes:
        problem: why nothing can be recorded, "" when it can.
        pseudonyms: None without a key for them.
    """

    chain: ChainKey
    pseudonyms: Pseudonyms | None = None
    problem: str = ""


class Outlet:
    """Records and ships for one sink."""

    def __init__(
        self,
        settings: LogSink,
        config: DecisionLogs,
        labels: Mapping[str, str],
        folder: Path,
        secrets: Secrets,
        console: ConsoleSink | None,
    ) -> None:
        """Open the outlet; what dead predecessors left in `folder` is adopted at once.

        Args:
            console: where each entry is printed as well, or alone; None for nowhere.
        """
        self.counters = Counters()
        self._labels = labels
        self._problem = secrets.problem
        self._rules = LogRules(settings.rules, self.counters, secrets.pseudonyms)
        self._numbering = Numbering(secrets.chain)
        self._console = console
        self._is_buffered = config.spool.durability == "buffered"
        self._write_out: asyncio.TimerHandle | None = None
        self._spool: Spool | None = None
        self._shipper: Shipper | None = None
        if (sink := open_sink(settings, labels)) is not None:
            self._spool = Spool(
                folder,
                limit_bytes=config.spool.limit_bytes,
                counters=self.counters,
                is_buffered=self._is_buffered,
                drops_oldest=config.spool.on_full == "drop_oldest",
            )
            self._shipper = Shipper(
                self._spool,
                sink,
                settings.upload_size_limit_bytes,
                max_delay_seconds=config.reporting.max_seconds,
                counters=self.counters,
                key=secrets.chain,
            )

    def record(self, event: JsonObject, policy: Evaluator | None) -> None:
        """Store a decision's event as the rules say.

        Raises:
            DecisionLogError: it could not be stored.
        """
        filtered = self._rules.apply(event, policy)
        if filtered is None:
            return
        try:
            self.store(with_summary(filtered))
        except DecisionLogError:
            self.counters.refused += 1
            raise
        self.counters.recorded += 1

    def store(self, event: JsonObject, **facts: object) -> None:
        """Store an event as the next entry.

        Args:
            facts: what else to say under `custom.audit`.

        Raises:
            DecisionLogError: it could not be stored.
        """
        if self._problem:
            raise DecisionLogError(self._problem)
        link = self._numbering.link(event, **facts)
        if self._spool is not None:
            self._spool.append(link.raw)
            if self._is_buffered:
                self._write_out_soon(self._spool)
        self._numbering.accept(link)
        if self._console is not None:
            self._console.write(link.event)

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
            "dropped_by_policy": self.counters.dropped_by_policy,
        }
        if self.counters.sampled_out:
            facts["sampled_out"] = self.counters.sampled_out
        try:
            self.store(event, **facts)
        except DecisionLogError as exc:
            log.warning("The decision log ends without a closing record: %s", exc)
        self._numbering.end()

    @property
    def has_open_stream(self) -> bool:
        """Whether something was recorded since the start or the last `close_stream`."""
        return self._numbering.last_seq > 0

    async def flush(self, budget_seconds: float, *, force: bool = False) -> FlushReport:
        """Ship what is stored, for at most `budget_seconds`; `force` ignores the back-off."""
        if self._shipper is None:
            return FlushReport(0, 0)
        return await self._shipper.flush(budget_seconds, force=force)

    async def flush_last(self, budget_seconds: float, console: ConsoleSink) -> FlushReport:
        """Ship what is stored, and print what is left: nobody may come for it any more.

        What is printed stays in the spool: should there be a successor after all, it ships it.
        """
        deadline = time.monotonic() + budget_seconds
        shipping_seconds = max(0.0, budget_seconds - LAST_RESORT_SECONDS)
        try:
            # Cut off from outside as well: a receiver that hangs must not use up what is kept.
            async with asyncio.timeout(shipping_seconds):
                report = await self.flush(shipping_seconds, force=True)
        except TimeoutError:
            report = FlushReport(0, self.backlog_events)
        if report.left and self._spool is not None:
            try:
                for raw in self._spool.pending():
                    if time.monotonic() > deadline:
                        break
                    console.write(decode_json(raw))
                    self.counters.printed_at_shutdown += 1
            except (DecisionLogError, DocumentError) as exc:
                log.error("What could not be shipped cannot be printed: %s", exc)
        return report

    @property
    def is_shipping(self) -> bool:
        """Whether something is being shipped."""
        return self._shipper is not None and self._shipper.is_busy

    def adopt(self) -> None:
        """Take over what others have left on disk."""
        if self._spool is not None:
            self._spool.adopt()

    @property
    def backlog_events(self) -> int:
        """How many events wait to be shipped, those of dead predecessors included."""
        return self._spool.backlog_events if self._spool is not None else 0

    @property
    def error(self) -> DecisionLogError | None:
        """Why the last flush failed, None when it did not."""
        return self._shipper.error if self._shipper is not None else None

    def close(self) -> None:
        """Let go of the files; what has not been shipped stays for the successor."""
        if self._write_out is not None:
            self._write_out.cancel()
        if self._spool is not None:
            self._spool.close()

    def _write_out_soon(self, spool: Spool) -> None:
        if self._write_out is None:
            loop = asyncio.get_running_loop()
            self._write_out = loop.call_later(WRITE_OUT_SECONDS, self._write_out_now, spool)

    def _write_out_now(self, spool: Spool) -> None:
        self._write_out = None
        try:
            spool.write_out()
        except DecisionLogError as exc:
            log.error("%s", exc)
