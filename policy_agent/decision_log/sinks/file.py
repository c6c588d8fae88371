"""Append batches to a file, one event a line, and see to it that the disk has them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path

from policy_agent.decision_log.batch import PLAIN_LINES, Batch
from policy_agent.errors import ShipError

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


class FileSink:
    """Opens the file for each batch, so it may be rotated away in between."""

    form = PLAIN_LINES
    limit_bytes = sys.maxsize

    def __init__(self, path: Path) -> None:
        self._path = path

    async def send(self, batch: Batch, timeout_seconds: float) -> None:
        """Append one batch and `fsync`.

        Raises:
            ShipError: it could not be written; nothing of it is left.
        """
        del timeout_seconds
        try:
            await asyncio.to_thread(self._append, batch.body)
        except OSError as exc:
            msg = f"{self._path}: cannot be written: {exc.strerror}"
            raise ShipError(msg) from exc

    def _append(self, body: bytes) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._path, _FLAGS, 0o600)
        try:
            before = os.fstat(descriptor).st_size
            try:
                view = memoryview(body)
                while view:
                    view = view[os.write(descriptor, view) :]
                os.fsync(descriptor)
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, before)
                raise
        finally:
            os.close(descriptor)
