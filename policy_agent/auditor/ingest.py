"""Move bodies from the spool into the store, each event once, whatever is killed in between.

Order of one pass: (1) forget bodies that the last commit holds but a crash left in the spool;
(2) write rejects to quarantine; (3) commit rows and body names together; (4) delete the bodies.
A crash before (3) repeats everything, and quarantine replaces its own files; a crash after (3) is
seen by (1). Blocking: runs in a worker thread.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from policy_agent.auditor.body import gunzip, split_entries
from policy_agent.auditor.extract import extract_row
from policy_agent.auditor.quarantine import Quarantine, Reject
from policy_agent.auditor.row import DecisionRow
from policy_agent.auditor.spool import Spool, SpooledBody
from policy_agent.auditor.store import AuditStore
from policy_agent.errors import AuditError, RequestError

log = logging.getLogger(__name__)

# One commit costs about as much as parsing 4,000 events, so take many bodies; but stop at this much
# text, which becomes some five times as much memory on its way to Parquet.
MAX_BODIES: Final = 500
MAX_TEXT_BYTES: Final = 32 << 20


@dataclass(frozen=True, slots=True)
class Settled:
    """How many events have found their place since the process started.

    Attributes:
        stored: decisions.
        closings: closing records in the store.
    """

    stored: int = 0
    duplicates: int = 0
    quarantined: int = 0
    closings: int = 0

    def __add__(self, other: Settled) -> Settled:
        return Settled(
            stored=self.stored + other.stored,
            duplicates=self.duplicates + other.duplicates,
            quarantined=self.quarantined + other.quarantined,
            closings=self.closings + other.closings,
        )


class Ingest:
    """Takes bodies from one spool to one store."""

    def __init__(self, spool: Spool, store: AuditStore, quarantine: Quarantine) -> None:
        self._spool = spool
        self._store = store
        self._quarantine = quarantine
        self.settled = Settled()

    def run_once(self) -> bool:
        """Ingest the oldest bodies in one commit.

        Returns:
            Whether there was anything to do.

        Raises:
            AuditError: disk or store failed; everything is still in the spool.
        """
        if not self._spool.oldest(1):
            return False
        self._spool.remove(self._store.committed_sources())  # (1)
        taken: list[str] = []
        rows: list[DecisionRow] = []
        quarantined = text_bytes = 0
        for body in self._spool.oldest(MAX_BODIES):
            entries, lost = self._open(body)
            good, rejects = _sort_out(entries, body.name)
            if rejects:
                self._quarantine.put_entries(body.name, rejects)  # (2)
            rows += good
            quarantined += len(rejects) + lost
            taken.append(body.name)
            text_bytes += sum(map(len, entries))
            if text_bytes >= MAX_TEXT_BYTES:
                break
        appended = self._store.append_batch(rows, taken)  # (3)
        # Counted before they stop being pending, so that nobody sees an event nowhere.
        self.settled += Settled(
            appended.stored, appended.duplicates, quarantined, appended.closings
        )
        self._spool.remove(taken)  # (4)
        return True

    def _open(self, body: SpooledBody) -> tuple[list[bytes], int]:
        raw = self._spool.read(body)
        try:
            return split_entries(gunzip(raw) if body.is_gzip else raw), 0
        except RequestError as exc:
            # It was whole when it was acknowledged: the disk or a person has changed it.
            log.error("body %s is unreadable and goes to quarantine: %s", body.name, exc)
            self._quarantine.put_body(body.name, raw, str(exc))
            return [], body.event_count


def _sort_out(entries: list[bytes], source: str) -> tuple[list[DecisionRow], list[Reject]]:
    rows: list[DecisionRow] = []
    rejects: list[Reject] = []
    for index, entry in enumerate(entries):
        try:
            rows.append(extract_row(entry, source))
        except AuditError as exc:
            rejects.append(Reject(index, str(exc), entry))
    return rows, rejects
