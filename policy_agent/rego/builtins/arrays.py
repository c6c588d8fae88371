"""Array functions.

Pure. Semantics of OPA v1.22 v1/topdown/array.go.
"""

from __future__ import annotations

from typing import Final

from policy_agent.rego.builtins import operands
from policy_agent.rego.builtins.registry import Builtin
from policy_agent.rego.values import Value


def concat(left: Value, right: Value) -> list[Value]:
    """Return one array after the other."""
    return operands.need_array(left, 1) + operands.need_array(right, 2)


def flatten(whole: Value) -> list[Value]:
    """Return the items of an array, those of arrays among them in their place."""
    result: list[Value] = []
    for item in operands.need_array(whole, 1):
        if type(item) is list:
            result.extend(item)
        else:
            result.append(item)
    return result


def slice_(whole: Value, start: Value, stop: Value) -> list[Value]:
    """Return the items from `start` up to but not including `stop`, both moved into the array."""
    items = operands.need_array(whole, 1)
    first, last = operands.need_int(start, 2), operands.need_int(stop, 3)
    return items[max(first, 0) : max(last, 0)]


def reverse(whole: Value) -> list[Value]:
    """Return the items from last to first."""
    return operands.need_array(whole, 1)[::-1]


BUILTINS: Final = {
    builtin.name: builtin
    for builtin in (
        Builtin("array.concat", concat),
        Builtin("array.flatten", flatten),
        Builtin("array.slice", slice_),
        Builtin("array.reverse", reverse),
    )
}
