"""Make decision ids: UUIDv7 (RFC 9562 section 5.7).

Pure but for the clock and the kernel's random source.
"""

from __future__ import annotations

import os
import time

_VARIANT = 0x8000_0000_0000_0000
_RANDOM_62_BITS = 0x3FFF_FFFF_FFFF_FFFF
_NS_PER_MS = 1_000_000


def new_decision_id() -> str:
    """Return a UUIDv7 in its text form.

    The 12 bits after the milliseconds are the fraction of a millisecond (RFC 9562 section 6.2,
    method 3), so that ids of one process sort by creation down to 244 ns. The other 62 are asked
    of the kernel each time: whatever is buffered in a process is cloned by fork and SnapStart.
    """
    unix_ms, rest_ns = divmod(time.time_ns(), _NS_PER_MS)
    tail = int.from_bytes(os.urandom(8), "big") & _RANDOM_62_BITS | _VARIANT
    digits = f"{unix_ms:012x}7{(rest_ns << 12) // _NS_PER_MS:03x}{tail:016x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
