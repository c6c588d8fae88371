"""Write a command's output file, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from policy_agent.errors import BundleError


def replace_file(path: Path, content: bytes) -> None:
    """Put a new file in the place of `path`.

    A server may be handing out the old file; it never sees half of the new one.

    Raises:
        BundleError: it cannot be written; what was there is unchanged.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_bytes(content)
        if path.exists():
            shutil.copymode(path, unfinished)
        unfinished.replace(path)
    except OSError as exc:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise BundleError(f"{path}: cannot be written: {exc.strerror}") from exc
