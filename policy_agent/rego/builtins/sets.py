"""Set functions; `minus` is with the numbers.

Pure. Semantics of OPA v1.22 v1/topdown/sets.go and binary.go.
"""

from __future__ import annotations

from typing import Final

from policy_agent.rego.builtins import operands
from policy_agent.rego.builtins.arithmetic import difference
from policy_agent.rego.builtins.registry import Builtin
from policy_agent.rego.values import Frozen, RegoSet, Value


def _common(left: RegoSet, right: RegoSet) -> RegoSet:
    # Of equal members that are written differently (`1`, `1.0`) the smaller set's stays.
    few, many = (
        (right.members, left.members) if len(right) < len(left) else (left.members, right.members)
    )
    return RegoSet({key: item for key, item in few.items() if key in many})


def both(left: Value, right: Value) -> RegoSet:
    """Return the members of both sets (`&`)."""
    return _common(operands.need_set(left, 1), operands.need_set(right, 2))


def either(left: Value, right: Value) -> RegoSet:
    """Return the members of either set (`|`)."""
    one, two = operands.need_set(left, 1), operands.need_set(right, 2)
    return RegoSet({**two.members, **one.members})


def set_diff(left: Value, right: Value) -> RegoSet:
    """Return the members of `left` that are not in `right`."""
    return difference(operands.need_set(left, 1), operands.need_set(right, 2))


def intersection(whole: Value) -> RegoSet:
    """Return the members that all sets of a set have."""
    result: RegoSet | None = None
    for member in operands.need_set(whole, 1):
        other = operands.need_set(member, 1)
        result = other if result is None else _common(result, other)
    return RegoSet({}) if result is None else result


def union(whole: Value) -> RegoSet:
    """Return the members of all sets of a set."""
    members: dict[Frozen, Value] = {}
    for member in operands.need_set(whole, 1):
        for key, item in operands.need_set(member, 1).members.items():
            members.setdefault(key, item)
    return RegoSet(members)


BUILTINS: Final = {
    builtin.name: builtin
    for builtin in (
        Builtin("and", both),
        Builtin("or", either),
        Builtin("set_diff", set_diff),
        Builtin("intersection", intersection),
        Builtin("union", union),
    )
}
