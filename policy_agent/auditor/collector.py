"""Accept bodies, and ingest them in the background: the part of `audit serve` without HTTP.

A body is accepted when it is durable in the spool; parsing and storing come later, in one task.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from policy_agent.auditor.body import gunzip, split_entries
from policy_agent.auditor.ingest import Ingest
from policy_agent.auditor.quarantine import Quarantine
from policy_agent.auditor.spool import Spool
from policy_agent.auditor.store import AuditStore
from policy_agent.errors import AuditError

log = logging.getLogger(__name__)

SPOOL: Final = "spool"
QUARANTINE: Final = "quarantine"
_RETRY_SECONDS: Final = 5.0
# With a commit every five seconds, four minutes' files become one.
_COMMITS_PER_COMPACTION: Final = 50
_LEAST_FILES: Final = 10


@dataclass(frozen=True, slots=True)
class Stats:
    """Events since the start; `received` includes those found in the spool then.

    `received` is always the sum of the others; `closings` are closing records in the store, which
    `stored` does not count, as they are no decisions.
    """

    received: int
    stored: int
    duplicates: int
    quarantined: int
    closings: int
    pending: int


class Collector:
    """Owns the spool and the store of one directory."""

    def __init__(self, directory: Path, *, commit_seconds: float) -> None:
        """Take over a directory, creating what it lacks.

        Args:
            directory: holds spool, quarantine, catalog and table.
            commit_seconds: shortest time between two commits while bodies keep coming. Each commit
                makes at least one file, and files are what queries pay for.

        Raises:
            AuditError: it is in use or cannot be used.
        """
        self._commit_seconds = commit_seconds
        self._spool = Spool(directory.resolve() / SPOOL)
        try:
            quarantine = Quarantine(directory.resolve() / QUARANTINE)
            self._store = AuditStore.create(directory)
        except AuditError:
            self._spool.close()
            raise
        self._ingest = Ingest(self._spool, self._store, quarantine)
        self._commits = 0
        self._arrival = asyncio.Event()
        self._stopping = asyncio.Event()

    async def accept(self, body: bytes, *, is_gzip: bool) -> None:
        """Check that a body can be taken apart and make it durable.

        Raises:
            RequestError: it is not gzip or not a JSON array of bearable size; nothing was stored.
            AuditError: it could not be stored.
        """
        await asyncio.to_thread(self._spool_body, body, is_gzip)
        self._arrival.set()

    def _spool_body(self, body: bytes, is_gzip: bool) -> None:
        event_count = len(split_entries(gunzip(body) if is_gzip else body))
        if event_count:
            self._spool.add(body, event_count=event_count, is_gzip=is_gzip)

    def stats(self) -> Stats:
        """Return what became of the events so far."""
        settled = self._ingest.settled
        pending = self._spool.pending_events
        return Stats(
            received=settled.stored
            + settled.duplicates
            + settled.quarantined
            + settled.closings
            + pending,
            stored=settled.stored,
            duplicates=settled.duplicates,
            quarantined=settled.quarantined,
            closings=settled.closings,
            pending=pending,
        )

    async def run(self) -> None:
        """Ingest what is there and what arrives until `stop`, and then what is left.

        A failing disk or store is logged and tried again; at the end, what could not be ingested
        stays in the spool and in `stats().pending`.
        """
        while not self._stopping.is_set():
            self._arrival.clear()
            pause_seconds = self._commit_seconds
            try:
                if not await asyncio.to_thread(self._ingest.run_once):
                    await self._arrival.wait()
                    continue
                await self._compact_now_and_then()
            except AuditError as exc:
                log.error("will try again in %s s: %s", _RETRY_SECONDS, exc)
                pause_seconds = _RETRY_SECONDS
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_seconds)
        try:
            while await asyncio.to_thread(self._ingest.run_once):
                pass
        except AuditError as exc:
            log.error("not everything received is in the store: %s", exc)

    async def _compact_now_and_then(self) -> None:
        self._commits += 1
        if self._commits % _COMMITS_PER_COMPACTION:
            return
        try:
            await asyncio.to_thread(self._store.compact, _LEAST_FILES)
        except AuditError as exc:
            log.error("small files stay as they are: %s", exc)

    def stop(self) -> None:
        """Let `run` finish what is pending and return; call it when nothing more comes in."""
        self._stopping.set()
        self._arrival.set()

    def close(self) -> None:
        """Release the store and the spool; `run` must have returned."""
        self._store.close()
        self._spool.close()
