"""Match file paths against patterns as Go's path/filepath.Match does.

Pure. `*` and `?` stay within one directory; the standard library's fnmatch lets `*` cross them,
which would exempt more files from verification than the configuration says.
"""

from __future__ import annotations

import functools
import re
from typing import Final

_MEMBER: Final = r"(?:\\.|[^\\\]-])"
_SET: Final = rf"\[(\^?)((?:{_MEMBER}(?:-{_MEMBER})?)+)\]"
_TOKEN: Final = re.compile(rf"\\(.)|(\*)|(\?)|{_SET}|([^\\\[])", re.DOTALL)
_SET_MEMBER: Final = re.compile(r"\\?(.)(-)?", re.DOTALL)


def matches(path: str, pattern: str) -> bool:
    """Tell whether the whole of `path` matches; a malformed pattern matches nothing."""
    compiled = _compiled(pattern)
    return compiled is not None and compiled.fullmatch(path) is not None


@functools.lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    parts, position = [], 0
    while position < len(pattern):
        token = _TOKEN.match(pattern, position)
        if token is None:
            return None
        parts.append(_translated(token))
        position = token.end()
    try:
        return re.compile("".join(parts), re.DOTALL)
    except re.error:
        return None


def _translated(token: re.Match[str]) -> str:
    escaped, star, question, negated, members, plain = token.groups()
    if star:
        return "[^/]*"
    if question:
        return "[^/]"
    if members:
        body = "".join(
            re.escape(character) + (hyphen or "")
            for character, hyphen in _SET_MEMBER.findall(members)
        )
        return f"(?!/)[{negated}{body}]"
    return re.escape(escaped or plain)
