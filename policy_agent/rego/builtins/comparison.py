"""Comparison by Rego's order, and membership.

Pure. Semantics of OPA v1.22 v1/topdown/comparison.go and aggregates.go (`in`).
"""

from __future__ import annotations

from typing import Final

from policy_agent.rego.builtins import operands
from policy_agent.rego.builtins.registry import Builtin
from policy_agent.rego.values import RegoSet, Value, compare, equal, freeze


def not_equal(left: Value, right: Value) -> bool:
    """Return whether two values differ."""
    return not equal(left, right)


def greater(left: Value, right: Value) -> bool:
    """Return whether `left` comes after `right`."""
    if type(left) is int and type(right) is int:
        return left > right
    return compare(left, right) > 0


def greater_or_equal(left: Value, right: Value) -> bool:
    """Return whether `left` does not come before `right`."""
    if type(left) is int and type(right) is int:
        return left >= right
    return compare(left, right) >= 0


def less(left: Value, right: Value) -> bool:
    """Return whether `left` comes before `right`."""
    if type(left) is int and type(right) is int:
        return left < right
    return compare(left, right) < 0


def less_or_equal(left: Value, right: Value) -> bool:
    """Return whether `left` does not come after `right`."""
    if type(left) is int and type(right) is int:
        return left <= right
    return compare(left, right) <= 0


def member(value: Value, whole: Value) -> bool:
    """Return whether a value is in a set or among the values of an array or object."""
    kind = type(whole)
    if kind is RegoSet:
        return value in whole
    if kind is list:
        if type(value) is str:
            return value in whole
        return any(equal(value, item) for item in whole)
    if kind is dict:
        return any(equal(value, item) for item in whole.values())
    return False


def member_with_key(key: Value, value: Value, whole: Value) -> bool:
    """Return whether a collection holds a value at a key; a set's members are their own keys."""
    kind = type(whole)
    if kind is RegoSet:
        return equal(key, value) and key in whole
    if kind is list:
        index = _index(key)
        return index is not None and index < len(whole) and equal(value, whole[index])
    if kind is dict:
        frozen = freeze(key)
        return frozen in whole and equal(value, whole[frozen])
    return False


def _index(key: Value) -> int | None:
    if not operands.is_number(key):
        return None
    index = operands.int64_or_none(key)
    return index if index is not None and index >= 0 else None


BUILTINS: Final = {
    builtin.name: builtin
    for builtin in (
        Builtin("assign", equal),
        Builtin("eq", equal),
        Builtin("equal", equal),
        Builtin("neq", not_equal),
        Builtin("gt", greater),
        Builtin("gte", greater_or_equal),
        Builtin("lt", less),
        Builtin("lte", less_or_equal),
        Builtin("internal.member_2", member),
        Builtin("internal.member_3", member_with_key),
    )
}
