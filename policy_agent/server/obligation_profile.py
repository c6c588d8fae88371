"""Give obligations the form of AuthZEN's Profile for Obligations 1.0.

Pure. `{"id", "type", "properties"}` with a registered type stays as it is. An obligation of any
other type becomes a `custom` one, with all that it had as its properties.
"""

from __future__ import annotations

from typing import Any

from policy_agent.config import OBLIGATION_TYPES
from policy_agent.model import JsonObject


def profiled(obligations: Any) -> list[JsonObject] | None:
    """Return obligations in the profile's form; None when they are not objects with a type."""
    if not isinstance(obligations, list):
        return None
    shaped = [_shaped(each, number) for number, each in enumerate(obligations, start=1)]
    return None if None in shaped else [each for each in shaped if each is not None]


def _shaped(obligation: Any, number: int) -> JsonObject | None:
    if not isinstance(obligation, dict) or not isinstance(obligation.get("type"), str):
        return None
    kind = obligation["type"]
    identifier = obligation.get("id", f"obl-{number}")
    if not isinstance(identifier, str):
        return None
    if kind not in OBLIGATION_TYPES:
        return {"id": identifier, "type": "custom", "properties": obligation}
    properties = obligation.get("properties")
    if properties is None:
        properties = {key: value for key, value in obligation.items() if key not in ("id", "type")}
    if not isinstance(properties, dict):
        return None
    return {"id": identifier, "type": kind, "properties": properties}
