"""Object functions.

Pure. Semantics of OPA v1.22 v1/topdown/object.go and subset.go.
"""

from __future__ import annotations

from functools import reduce
from typing import Final

from policy_agent.model import UNDEFINED
from policy_agent.rego.builtins import operands
from policy_agent.rego.builtins.registry import (
    TYPE_ERROR,
    Builtin,
    BuiltinError,
    element_type_error,
    operand_type_error,
)
from policy_agent.rego.values import Frozen, RegoSet, Value, equal, freeze, thaw


def child(value: Value, key: Value) -> Value:
    """Return what a value holds at a key, UNDEFINED for nothing; sets hold their members."""
    kind = type(value)
    if kind is dict:
        return value.get(freeze(key), UNDEFINED)
    if kind is RegoSet:
        return value.members.get(freeze(key), UNDEFINED)
    if kind is list:
        index = operands.int64_or_none(key)
        return value[index] if index is not None and 0 <= index < len(value) else UNDEFINED
    return UNDEFINED


def get(whole: Value, key: Value, default: Value) -> Value:
    """Return the value at a key, or at a path if the key is an array, else the default."""
    found: Value = operands.need_object(whole, 1)
    for step in key if type(key) is list else [key]:
        found = child(found, step)
        if found is UNDEFINED:
            return default
    return found


def keys(whole: Value) -> RegoSet:
    """Return the set of an object's keys."""
    return RegoSet({key: thaw(key) for key in operands.need_object(whole, 1)})


def _selection(value: Value) -> set[Frozen]:
    if type(value) is list:
        return set(map(freeze, value))
    if type(value) is RegoSet:
        return set(value.members)
    if type(value) is dict:
        return set(value)
    raise operand_type_error(2, value, "object", "set", "array")


def remove(whole: Value, unwanted: Value) -> dict[Frozen, Value]:
    """Return an object without some keys."""
    items = operands.need_object(whole, 1)
    selected = _selection(unwanted)
    return {key: item for key, item in items.items() if key not in selected}


def filter_(whole: Value, wanted: Value) -> dict[Frozen, Value]:
    """Return an object with only some keys."""
    items = operands.need_object(whole, 1)
    selected = _selection(wanted)
    return {key: item for key, item in items.items() if key in selected}


def _merged(left: dict[Frozen, Value], right: dict[Frozen, Value]) -> dict[Frozen, Value]:
    result = dict(left)
    for key, item in right.items():
        before = result.get(key)
        both = type(before) is dict and type(item) is dict
        result[key] = _merged(before, item) if both else item  # type: ignore[arg-type]
    return result


def union(left: Value, right: Value) -> dict[Frozen, Value]:
    """Return two objects merged at every depth; where they differ, `right` wins."""
    return _merged(operands.need_object(left, 1), operands.need_object(right, 2))


def union_n(whole: Value) -> dict[Frozen, Value]:
    """Return an array's objects merged in order."""
    items = operands.need_array(whole, 1)
    for item in items:
        if type(item) is not dict:
            raise element_type_error(1, whole, item, "object")
    return reduce(_merged, items, {})


def subset(whole: Value, part: Value) -> bool:
    """Return whether `part` is in `whole`: keys and members, or items in a row; at every depth.

    Raises:
        BuiltinError: they have different types, and are not an array and a set.
    """
    if type(whole) is list and type(part) is RegoSet:
        return _array_holds(whole, part)
    found = _holds(whole, part)
    if found is None:
        message = "both arguments object.subset must be of the same type or array and set"
        raise BuiltinError(message, code=TYPE_ERROR)
    return found


def _holds(whole: Value, part: Value) -> bool | None:
    kind = type(whole)
    if kind is not type(part):
        return None
    if kind is dict:
        return all(
            key in whole and (equal(whole[key], item) or bool(_holds(whole[key], item)))
            for key, item in part.items()
        )
    if kind is RegoSet:
        return bool(part.members.keys() <= whole.members.keys())
    if kind is list:
        return _has_run(whole, part)
    return None


def _has_run(whole: list[Value], part: list[Value]) -> bool:
    starts = range(len(whole) - len(part) + 1)
    return any(equal(whole[start : start + len(part)], part) for start in starts)


def _array_holds(whole: list[Value], part: RegoSet) -> bool:
    # OPA counts matches rather than distinct members, and looks only after an item.
    missing = len(part)
    for item in whole:
        missing -= item in part
        if not missing:
            return True
    return False


BUILTINS: Final = {
    builtin.name: builtin
    for builtin in (
        Builtin("object.get", get),
        Builtin("object.keys", keys),
        Builtin("object.remove", remove),
        Builtin("object.filter", filter_),
        Builtin("object.union", union),
        Builtin("object.union_n", union_n),
        Builtin("object.subset", subset),
    )
}
