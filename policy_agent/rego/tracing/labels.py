"""Which labels the rules have that held (OPA v1.22 v1/topdown/evaluated.go).

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from policy_agent.codec import encode_json
from policy_agent.errors import Location
from policy_agent.model import JsonObject
from policy_agent.rego import ast
from policy_agent.rego.compile.metadata import annotation_chain
from policy_agent.rego.compile.nodes import alternatives
from policy_agent.rego.tracing.history import Event, Op


def rule_labels(events: Iterable[Event], modules: Sequence[ast.Module]) -> list[JsonObject]:
    """Return the labels of every rule that held, each set of them once, in order.

    Those of the rule win over those of its document, package and the packages above.

    Args:
        modules: as parsed.
    """
    rules = {
        alternative.location: (rule, module)
        for module in modules
        for rule in module.rules
        for alternative in alternatives(rule)
    }
    done: set[Location] = set()
    labels: dict[bytes, JsonObject] = {}
    for event in events:
        place = event.location
        if event.op is not Op.EXIT or place in done or not isinstance(event.node, ast.Rule):
            continue
        done.add(place)
        if place in rules and (merged := _merged(*rules[place], modules)):
            labels.setdefault(encode_json(merged), merged)
    return list(labels.values())


def _merged(rule: ast.Rule, module: ast.Module, modules: Sequence[ast.Module]) -> JsonObject:
    merged: JsonObject = {}
    for link in reversed(annotation_chain(rule, module, modules)):
        merged |= link.get("annotations", {}).get("labels") or {}
    return merged
