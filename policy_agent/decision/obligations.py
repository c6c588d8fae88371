"""What became of a decision's obligations, as whoever had to fulfil them reports it.

Pure. The report is the function's word: the agent records it and judges nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from policy_agent.errors import RequestError
from policy_agent.model import Fulfilment

MAX_OBLIGATIONS: Final = 100
MAX_TEXT: Final = 200
_ID: Final = re.compile(r"[0-9A-Za-z-]{1,64}")
_STATUSES: Final = ("fulfilled", "failed")


def read_fulfilment(decision_id: str, body: Any) -> Fulfilment:
    """Read `{"obligations": [{"type": "mask_fields", "status": "fulfilled"}]}`.

    Raises:
        RequestError: it is something else; the message names the place.
    """
    if not _ID.fullmatch(decision_id):
        raise RequestError("the path must end with the id of a decision")
    entries = body.get("obligations") if isinstance(body, Mapping) else None
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_OBLIGATIONS:
        msg = f"obligations: must be a list of 1 to {MAX_OBLIGATIONS} objects"
        raise RequestError(msg)
    obligations = [_obligation(entry, f"obligations[{n}]") for n, entry in enumerate(entries)]
    return Fulfilment(decision_id, tuple(obligations))


def _obligation(entry: Any, name: str) -> Mapping[str, str]:
    if not isinstance(entry, Mapping):
        raise RequestError(f"{name}: must be an object")
    for key in ("type", "status", "error"):
        value = entry.get(key, "" if key == "error" else None)
        if not isinstance(value, str) or len(value) > MAX_TEXT:
            raise RequestError(f"{name}.{key}: must be a string of at most {MAX_TEXT} characters")
    if entry["status"] not in _STATUSES:
        raise RequestError(f"{name}.status: must be one of {', '.join(_STATUSES)}")
    unknown = sorted(entry.keys() - {"type", "status", "error"})
    if unknown:
        raise RequestError(f"{name}.{unknown[0]}: is not part of a report")
    return {key: entry[key] for key in ("type", "status", "error") if key in entry}
