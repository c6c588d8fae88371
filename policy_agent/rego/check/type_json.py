"""Types as OPA's plans, capabilities and errors write them in JSON.

Pure. Follows OPA v1.22 v1/types/types.go (MarshalJSON).
"""

from __future__ import annotations

from typing import Any

from policy_agent.rego.check.types import (
    AnyOf,
    Array,
    Function,
    Object,
    Plain,
    Recursive,
    Set,
    Type,
)
from policy_agent.rego.values import thaw


def type_json(one: Type) -> dict[str, Any]:
    """Return a type as JSON."""
    match one:
        case Plain(name):
            return {"type": name}
        case Recursive(name):
            return {"name": name}
        case Array(static, dynamic):
            parts: dict[str, Any] = {
                "static": _all(static),
                "dynamic": dynamic and type_json(dynamic),
            }
            return _node("array", parts)
        case Set(of):
            return _node("set", {"of": of and type_json(of)})
        case AnyOf(members):
            return _node("any", {"of": _all(members)})
        case Object(static, pairs):
            known = [
                {"key": thaw(key), "value": part and type_json(part)}
                for key, part in static.items()
            ]
            rest = None
            if pairs is not None:
                rest = {
                    "key": pairs[0] and type_json(pairs[0]),
                    "value": pairs[1] and type_json(pairs[1]),
                }
            return _node("object", {"static": known, "dynamic": rest})
        case Function():
            parts = {
                "args": _all(one.args),
                "result": one.result and type_json(one.result),
                "variadic": one.variadic and type_json(one.variadic),
            }
            return _node("function", parts)


def _node(kind: str, parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, **{name: part for name, part in parts.items() if part}}


def _all(types: tuple[Type | None, ...]) -> list[Any]:
    return [one and type_json(one) for one in types]
