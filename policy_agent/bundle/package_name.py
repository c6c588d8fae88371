"""Read the package name off the top of a Rego module, before anything parses it.

Pure. Enough of Rego's grammar to hold a module to its bundle's roots: only blank space and comments
may precede `package`, and the name's parts follow each other without blanks (checked against OPA
v1.22). Where a parser would read more of a name than this does, what is read is a prefix of it, and
roots own everything below themselves.
"""

from __future__ import annotations

import json
import re
from typing import Final

_BLANK: Final = r"(?:[ \t\r\n]|#[^\n]*(?:\n|\Z))"
_STRING: Final = r'"(?:[^"\\\n]|\\.)*"|`[^`]*`'
_PACKAGE: Final = re.compile(
    rf"{_BLANK}*package{_BLANK}+([A-Za-z_]\w*)((?:\.[A-Za-z_]\w*|\[[ \t]*(?:{_STRING})[ \t]*\])*)",
    re.ASCII,
)
_PART: Final = re.compile(rf"\.(\w+)|({_STRING})", re.ASCII)


def package_name(source: str) -> tuple[str, ...] | None:
    """Return a module's package path, `("orders", "authz")`, or None when it states none."""
    match = _PACKAGE.match(source)
    if match is None:
        return None
    path = [match[1]]
    for word, string in _PART.findall(match[2]):
        if word or string[0] == "`":
            path.append(word or string[1:-1])
            continue
        try:
            path.append(json.loads(string))
        except ValueError:
            return None
    return tuple(path)
