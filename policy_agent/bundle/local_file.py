"""Read one regular file within a limit; never waits, whatever lies at the path."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from pathlib import Path


def read_regular_file(
    path: Path, *, limit_bytes: int, owners: Collection[int] | None = None
) -> bytes | None:
    """Return a file's content, None when it is larger than `limit_bytes`.

    Args:
        owners: user ids that may own the file; anyone when None.

    Raises:
        OSError: it cannot be read, is not a regular file, or is someone else's.
    """
    # Without O_NONBLOCK, opening a FIFO waits for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise OSError(0, "not a regular file")
        if owners is not None and facts.st_uid not in owners:
            raise OSError(0, "it belongs to another user")
        if facts.st_size > limit_bytes:
            return None
        content = file.read(limit_bytes + 1)
    return content if len(content) <= limit_bytes else None
