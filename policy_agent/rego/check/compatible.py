"""Whether two types have a value in common.

Pure. Follows OPA v1.22 v1/ast/check.go (unifies).
"""

from __future__ import annotations

from policy_agent.rego.check.types import (
    AnyOf,
    Array,
    Function,
    Object,
    Plain,
    Set,
    Type,
    item,
    property_type,
    resolve,
)
from policy_agent.rego.values import thaw
from policy_agent.rego.work import spend


def compatible(left: Type | None, right: Type | None) -> bool:
    """Return whether some value is of both types; unknown types have none."""
    if left is None or right is None:
        return False
    spend(1)
    left, right = resolve(left), resolve(right)
    if isinstance(left, AnyOf) or isinstance(right, AnyOf):
        return (isinstance(left, AnyOf) and _any(left, right)) or (
            isinstance(right, AnyOf) and _any(right, left)
        )
    match left, right:
        case Plain(one), Plain(two):
            return one == two
        case Array(), Array():
            return _arrays(left, right) and _arrays(right, left) and _rest(left, right)
        case Object(), Object():
            return _objects(left, right) and _objects(right, left) and _rest(left, right)
        case Set(one_of), Set(other_of):
            return one_of is None or other_of is None or compatible(one_of, other_of)
        case Function(), Function():
            return len(left.args) == len(right.args) and all(map(compatible, left.args, right.args))
    return False


def _any(several: AnyOf, other: Type | None) -> bool:
    if isinstance(other, Function):
        return False
    return not several.members or any(compatible(member, other) for member in several.members)


def _arrays(left: Array, right: Array) -> bool:
    return all(compatible(part, item(right, position)) for position, part in enumerate(left.static))


def _objects(left: Object, right: Object) -> bool:
    for key, part in left.static.items():
        other = property_type(right, thaw(key))
        if other is None:
            if left.dynamic is None and right.dynamic is None:
                return False
        elif not compatible(part, other):
            return False
    return True


def _rest(left: Array | Object, right: Array | Object) -> bool:
    one = left.dynamic[1] if isinstance(left, Object) and left.dynamic else left.dynamic
    two = right.dynamic[1] if isinstance(right, Object) and right.dynamic else right.dynamic
    if one is None or two is None:
        return True
    assert not isinstance(one, tuple)
    assert not isinstance(two, tuple)
    return compatible(one, two)
