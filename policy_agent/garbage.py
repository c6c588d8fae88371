"""Spare the garbage collector what is large and has no cycles.

The collector walks all that exists each time enough is new: reading 30 MB of JSON takes five times
as long with it, and once 100 MB are there, every full collection stops the process for a second.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# Less is walked in a few milliseconds.
LARGE_BYTES: Final = 1 << 20


@contextmanager
def uncollected() -> Iterator[None]:
    """Collect no garbage in any thread inside the block."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def making(size_bytes: int) -> Iterator[None]:
    """Make something of about that size that stays; if large, the collector never walks it.

    It is freed all the same when nothing refers to it any more.
    """
    if size_bytes < LARGE_BYTES:
        with uncollected():
            yield
        return
    # Whatever exists afterwards is passed by for good, so nothing may be left to collect.
    gc.collect()
    with uncollected():
        yield
        gc.freeze()
