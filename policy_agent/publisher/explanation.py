"""Write trace events as OPA's JSON (OPA v1.22 v1/topdown/trace.go).

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from policy_agent import codec
from policy_agent.errors import Location
from policy_agent.publisher.ordered_json import in_order
from policy_agent.rego import ast
from policy_agent.rego.ast_json import body_to_json, expression_to_json, rule_to_json
from policy_agent.rego.tracing.history import Event, Op
from policy_agent.rego.tracing.sites import Node
from policy_agent.rego.values import to_json, type_name


def explanation_json(events: Iterable[Event], rewritten: Mapping[str, str]) -> list[msgspec.Raw]:
    """Return a JSON object for each event.

    Args:
        events: in order.
        rewritten: the compiler's names of variables -> the author's.
    """
    return [_event_json(event, rewritten) for event in events]


def _event_json(event: Event, rewritten: Mapping[str, str]) -> msgspec.Raw:
    is_note = event.op is Op.NOTE
    names = [name for name in event.values if name.startswith("__local")]
    values = [_local_json(name, event.values[name]) for name in names]
    metadata = {
        name: in_order({"name": rewritten.get(name, name), "location": None}) for name in names
    }
    return in_order(
        {
            "Op": str(event.op),
            "Node": None if is_note else _node_json(event.node),
            "Location": _location_json(event.location),
            # OPA numbers the query 0 and has no number for what is around it.
            "QueryID": event.query - 1,
            "ParentID": max(event.parent - 1, 0),
            "Locals": None if is_note else values,
            "LocalMetadata": None if is_note else metadata,
            "Message": event.message,
            "Ref": None,
        }
    )


def _node_json(node: Node) -> Any:
    if isinstance(node, ast.Rule):
        return rule_to_json(node)
    return expression_to_json(node) if isinstance(node, ast.Expr) else body_to_json(node)


def _location_json(location: Location) -> msgspec.Raw:
    return in_order({"file": location.file, "row": location.row, "col": location.col})


def _local_json(name: str, value: Any) -> msgspec.Raw:
    shown = codec.decode_json(codec.encode_json(to_json(value)))
    return in_order({"name": name, "type": type_name(value), "value": shown})
