"""What a client asks for beyond the bundle: a part of it, or to be answered when there is news.

Pure. Follows RFC 9110, 14 (ranges), RFC 7240 (`Prefer`) and OPA's bundle service API.
"""

from __future__ import annotations

import re
from typing import Final

LONGEST_WAIT_SECONDS: Final = 600
_RANGE: Final = re.compile(r"bytes=(\d+)-(\d*)")
_WAIT: Final = re.compile(r"(?:^|[;,])\s*wait\s*=\s*\"?(\d+)\"?\s*(?=$|[;,])", re.IGNORECASE)


def seconds_to_wait(prefer: str | None) -> int:
    """Return how long a client wants to wait for news, 0 when it does not."""
    found = _WAIT.search(prefer or "")
    return min(int(found[1]), LONGEST_WAIT_SECONDS) if found else 0


def wanted_part(header: str | None, size: int) -> range | None:
    """Return the bytes that a `Range` header asks for; None stands for the whole.

    Several ranges, and those counted from the end, are answered with the whole, as a server may.

    Returns:
        Empty when none of the bytes asked for exist.
    """
    found = _RANGE.fullmatch((header or "").strip())
    if found is None:
        return None
    first, last = int(found[1]), int(found[2]) if found[2] else size - 1
    if found[2] and last < first:
        return None
    return range(min(first, size), min(last + 1, size))
