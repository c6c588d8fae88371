"""Write paths as OPA writes references.

Pure. Follows OPA v1.22 v1/ast/term.go (Ref.String).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from policy_agent.codec import encode_json

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z_0-9]*\Z")


def path_text(path: Iterable[str]) -> str:
    """Return `data.a["b-c"].d`."""
    text = "data"
    for part in path:
        text += f".{part}" if _PLAIN.match(part) else f"[{encode_json(part).decode()}]"
    return text
