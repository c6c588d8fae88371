"""Values as OPA's error messages write them.

Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from policy_agent.rego.values import Frozen, thaw, to_json


def quoted(text: str) -> str:
    """Return a text in double quotes, as Rego writes it."""
    return json.dumps(text, ensure_ascii=False)


def set_text(keys: Iterable[Frozen]) -> str:
    """Return keys as Rego writes a set of them."""
    texts = sorted(json.dumps(to_json(thaw(key)), ensure_ascii=False, default=str) for key in keys)
    return f"{{{', '.join(texts)}}}"
