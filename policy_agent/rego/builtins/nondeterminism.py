"""The record of what non-deterministic built-ins answered, as OPA's decision log has it.

Pure. Source: OPA v1.22 v1/topdown/builtins/builtins.go (NDBCache).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from policy_agent.codec import encode_json
from policy_agent.rego.context import Context
from policy_agent.rego.values import Value, freeze, to_json


def record(context: Context, name: str, operands: Sequence[Value], result: Value) -> Value:
    """Note a call's result under its operands as JSON text, and return the result."""
    key = encode_json(to_json(list(operands))).decode()
    context.nd_cache.setdefault(name, {})[key] = result
    return result


def once(
    context: Context, name: str, operands: Sequence[Value], make: Callable[[], Value]
) -> Value:
    """Return the result these operands had before in this evaluation, else make and note it."""
    key = (name, freeze(list(operands)))
    if key not in context.memo:
        context.memo[key] = make()
    return record(context, name, operands, context.memo[key])
