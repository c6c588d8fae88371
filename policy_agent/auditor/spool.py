"""Hold received bodies on disk from before they are acknowledged until they are in the store.

One file a body, named `<received ns>-<random>-<events>.json[.gz]`, so that the names alone say
the order and how much is pending. One process at a time owns a spool.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from policy_agent.auditor.durable import (
    TEMPORARY_PREFIX,
    make_directory,
    sync_directory,
    write_file,
)
from policy_agent.errors import AuditError

_NAME = re.compile(r"\d{20}-[0-9a-f]{8}-(\d+)\.json(\.gz)?")
_LOCK_NAME = "lock"


@dataclass(frozen=True, slots=True)
class SpooledBody:
    """One body on disk: its file name and how many entries it has."""

    name: str
    event_count: int
    is_gzip: bool


def list_spool(directory: Path) -> list[SpooledBody]:
    """Return the bodies in a spool, oldest first; none when there is no such directory.

    Raises:
        AuditError: the directory cannot be read.
    """
    try:
        names = sorted(os.listdir(directory))
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise AuditError(f"cannot read {directory}: {exc.strerror}") from exc
    return [
        SpooledBody(name, event_count=int(match[1]), is_gzip=match[2] is not None)
        for name in names
        if (match := _NAME.fullmatch(name))
    ]


class Spool:
    """The bodies that are not yet in the store. Safe to use from several threads."""

    def __init__(self, directory: Path) -> None:
        """Take over a spool and what it holds.

        Raises:
            AuditError: another process has it, or it cannot be used.
        """
        self._directory = directory
        self._mutex = threading.Lock()
        try:
            make_directory(directory)
            self._lock = (directory / _LOCK_NAME).open("wb")
        except OSError as exc:
            raise AuditError(f"cannot use {directory}: {exc.strerror}") from exc
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            self._lock.close()
            msg = f"{directory} belongs to another `policy-agent audit serve` that is running"
            raise AuditError(msg) from exc
        for unfinished in directory.glob(f"{TEMPORARY_PREFIX}*"):
            unfinished.unlink()  # never acknowledged, so its sender still has it
        self._pending = {body.name: body for body in list_spool(directory)}

    @property
    def pending_events(self) -> int:
        """How many entries wait, good or bad."""
        with self._mutex:
            return sum(body.event_count for body in self._pending.values())

    def add(self, body: bytes, *, event_count: int, is_gzip: bool) -> SpooledBody:
        """Make a body durable; it may be acknowledged when this returns.

        Raises:
            AuditError: it is not on disk.
        """
        ending = ".json.gz" if is_gzip else ".json"
        name = f"{time.time_ns():020d}-{secrets.token_hex(4)}-{event_count}{ending}"
        try:
            write_file(self._directory / name, [body])
        except OSError as exc:
            raise AuditError(f"cannot write to {self._directory}: {exc.strerror}") from exc
        added = SpooledBody(name, event_count, is_gzip)
        with self._mutex:
            self._pending[name] = added
        return added

    def oldest(self, limit: int) -> list[SpooledBody]:
        """Return up to `limit` pending bodies in the order of their arrival."""
        with self._mutex:
            return [self._pending[name] for name in sorted(self._pending)[:limit]]

    def read(self, body: SpooledBody) -> bytes:
        """Return a body as it was received.

        Raises:
            AuditError: the file cannot be read.
        """
        try:
            return (self._directory / body.name).read_bytes()
        except OSError as exc:
            raise AuditError(f"cannot read {self._directory / body.name}: {exc.strerror}") from exc

    def remove(self, names: Iterable[str]) -> None:
        """Delete bodies that are in the store or in quarantine; unknown names are passed over.

        Raises:
            AuditError: a file cannot be deleted.
        """
        try:
            for name in names:
                if name in self._pending:
                    (self._directory / name).unlink(missing_ok=True)
                    with self._mutex:
                        del self._pending[name]
            sync_directory(self._directory)
        except OSError as exc:
            raise AuditError(f"cannot empty {self._directory}: {exc.strerror}") from exc

    def close(self) -> None:
        """Let go of the spool; another process may take it over."""
        self._lock.close()
