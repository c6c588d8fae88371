"""Entity tags: name a content, and tell whether a client already has it.

Pure. Follows RFC 9110, 8.8.3 and 13.1.2.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

_OPAQUE_TAG: Final = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def strong_etag(content: bytes) -> str:
    """Return a strong entity tag, quotes included: equal for equal bytes only."""
    return f'"{hashlib.sha256(content).hexdigest()}"'


def is_known(etag: str, if_none_match: str | None) -> bool:
    """Tell whether `etag` is among the tags of an `If-None-Match` header, compared weakly."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or etag in _OPAQUE_TAG.findall(if_none_match)
