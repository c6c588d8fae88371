"""Write trace events as OPA's server does (OPA v1.22 v1/server/types, TraceEventV1).

Pure. `opa eval` has another form of the same, in the publisher's `explanation`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from policy_agent.codec import encode_json
from policy_agent.model import JsonObject
from policy_agent.rego import ast
from policy_agent.rego.ast_json import body_to_json, expression_to_json, rule_to_json
from policy_agent.rego.tracing.history import Event, Op
from policy_agent.rego.tracing.sites import Node
from policy_agent.rego.tracing.trace_text import trace_text
from policy_agent.rego.values import Value, ordered, ordered_keys, thaw, type_name


def trace_json(events: Sequence[Event], rewritten: Mapping[str, str], *, pretty: bool) -> bytes:
    """Return events as a JSON array: of objects, or of lines of text.

    Args:
        events: in order.
        rewritten: the compiler's names of variables -> the author's.
    """
    if pretty:
        return encode_json(trace_text(events, rewritten).strip("\n").split("\n"))
    return encode_json([_event_json(event) for event in events])


def _event_json(event: Event) -> JsonObject:
    kind, node = _node_json(event.node)
    shown: JsonObject = {
        "op": str(event.op).lower(),
        # OPA numbers the query 0 and has no number for what is around it.
        "query_id": event.query - 1,
        "parent_id": max(event.parent - 1, 0),
        "type": kind,
        "node": node,
        "locals": _locals_json(event.values.items()),
    }
    if event.op is Op.NOTE:
        shown |= {"type": "", "node": None, "locals": [], "message": event.message}
    return shown


def _node_json(node: Node) -> tuple[str, Any]:
    if isinstance(node, ast.Rule):
        return "rule", rule_to_json(node)
    if isinstance(node, ast.Expr):
        return "expr", expression_to_json(node)
    return "body", body_to_json(node)


def _locals_json(values: Iterable[tuple[str, Value]]) -> list[JsonObject]:
    return [
        {"key": {"type": "var", "value": name}, "value": _term_json(value)}
        for name, value in values
    ]


def _term_json(value: Value) -> JsonObject:
    kind = type_name(value)
    shown: Any = value
    if kind == "object":
        shown = [[_term_json(thaw(key)), _term_json(value[key])] for key in ordered_keys(value)]
    elif kind == "set":
        shown = [_term_json(each) for each in ordered(value)]
    elif kind == "array":
        shown = [_term_json(each) for each in value]
    elif kind == "null":
        shown = {}
    return {"type": kind, "value": shown}
