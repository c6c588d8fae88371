"""Rego's types: what a term can hold, and the sum and parts of such types.

Pure. Follows OPA v1.22 v1/types/types.go. None is the unknown type. A type is compared by
`compare`, never by `==`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cmp_to_key
from typing import Any, Final, TypeAlias

from msgspec import Struct, field

from policy_agent.rego import values
from policy_agent.rego.values import Frozen, Value, freeze, thaw
from policy_agent.rego.work import spend


class Plain(Struct, frozen=True, eq=False):
    """Null, boolean, number or string."""

    name: str


class Array(Struct, frozen=True, eq=False):
    """An array: the types of its first items, and of any further ones if there can be some."""

    static: tuple[Type | None, ...] = ()
    dynamic: Type | None = None


class Object(Struct, frozen=True, eq=False):
    """An object.

    Attributes:
        static: known key -> type, in Rego's order of keys; see `make_object`.
        dynamic: the types of the keys and values of further pairs, None if there are none.
    """

    static: Mapping[Frozen, Type | None] = field(default_factory=dict)
    dynamic: tuple[Type | None, Type | None] | None = None


class Set(Struct, frozen=True, eq=False):
    """A set; without a type of members it is the empty set."""

    of: Type | None = None


class AnyOf(Struct, frozen=True, eq=False):
    """One of several types, in order; none means any type at all."""

    members: tuple[Type | None, ...] = ()


class Function(Struct, frozen=True, eq=False):
    """A function.

    Attributes:
        result: None for a function without a value, such as print.
        names: of the arguments, as messages give them; "" for none.
    """

    args: tuple[Type | None, ...]
    result: Type | None
    variadic: Type | None = None
    names: tuple[str, ...] = ()
    result_name: str = ""


class Recursive(Struct, eq=False):
    """A JSON schema's definition that contains itself; `target` is set once it is known."""

    name: str
    target: Type | None = None


Type: TypeAlias = Plain | Array | Object | Set | AnyOf | Function | Recursive

NULL: Final = Plain("null")
BOOLEAN: Final = Plain("boolean")
NUMBER: Final = Plain("number")
STRING: Final = Plain("string")
ANY: Final = AnyOf()

_PLAIN_ORDER = {"null": 0, "boolean": 1, "number": 2, "string": 3}
_ORDER = {Array: 4, Object: 5, Set: 6, AnyOf: 7, Function: 8}


def make_object(
    pairs: Iterable[tuple[Frozen, Type | None]],
    dynamic: tuple[Type | None, Type | None] | None = None,
) -> Object:
    """Return an object type from pairs in any order."""
    static = dict(pairs)
    return Object({key: static[key] for key in values.ordered_keys(static)}, dynamic)


def resolve(one: Type | None) -> Type | None:
    """Return what a recursive definition stands for, other types as they are."""
    return one.target if isinstance(one, Recursive) else one


def is_any(one: Type | None) -> bool:
    """Return whether this is the type of everything."""
    return isinstance(one, AnyOf) and not one.members


def _rank(one: Type | None) -> int:
    if one is None:
        return -1
    return _PLAIN_ORDER[one.name] if isinstance(one, Plain) else _ORDER[type(one)]


def compare(left: Type | None, right: Type | None) -> int:
    """Return -1, 0 or 1 as `left` comes before, is the same as or comes after `right`."""
    left, right = resolve(left), resolve(right)
    if left is right:
        return 0
    spend(1)
    one, two = _rank(left), _rank(right)
    if one != two:
        return -1 if one < two else 1
    match left, right:
        case Array(), Array():
            return compare(left.dynamic, right.dynamic) or _compare_all(left.static, right.static)
        case Object(), Object():
            return _compare_objects(left, right)
        case Set(), Set():
            return compare(left.of, right.of)
        case AnyOf(), AnyOf():
            return _compare_all(left.members, right.members)
        case Function(), Function():
            return (
                _sign(len(left.args) - len(right.args))
                or _compare_all(left.args, right.args)
                or compare(left.result, right.result)
                or compare(left.variadic, right.variadic)
            )
    return 0


_by_order = cmp_to_key(compare)


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


def _compare_all(left: tuple[Type | None, ...], right: tuple[Type | None, ...]) -> int:
    for one, two in zip(left, right, strict=False):
        if result := compare(one, two):
            return result
    return _sign(len(left) - len(right))


def _compare_objects(left: Object, right: Object) -> int:
    if (left.dynamic is None) != (right.dynamic is None):
        return -1 if left.dynamic is None else 1
    result = _compare_all(left.dynamic or (), right.dynamic or ())
    if result:
        return result
    for (one, first), (two, second) in zip(left.static.items(), right.static.items(), strict=False):
        if one != two:
            return values.compare(thaw(one), thaw(two))
        if result := compare(first, second):
            return result
    return _sign(len(left.static) - len(right.static))


def any_of(*members: Type) -> AnyOf:
    """Return the type of what is one of some types."""
    return AnyOf(tuple(sorted(members, key=_by_order)))


def contains(outer: Type | None, inner: Type | None) -> bool:
    """Return whether `outer` is the same as `inner` or lists it."""
    if isinstance(outer, AnyOf):
        return not isinstance(inner, Function) and (
            not outer.members or any(compare(member, inner) == 0 for member in outer.members)
        )
    return compare(outer, inner) == 0


def union(left: Type | None, right: Type | None) -> Type | None:
    """Return the type of what is one or the other; None when only one is a function."""
    if left is None or right is None:
        return right if left is None else left
    if isinstance(left, Function) or isinstance(right, Function):
        if isinstance(left, Function) and isinstance(right, Function):
            return _union_functions(left, right)
        return None
    if isinstance(left, AnyOf):
        return _merge(left, right)
    if isinstance(right, AnyOf):
        return _merge(right, left)
    if compare(left, right) == 0:
        return left
    return any_of(left, right)


def _merge(one: AnyOf, other: Type) -> AnyOf:
    if not isinstance(other, AnyOf):
        if contains(one, other):
            return one
        return AnyOf(tuple(sorted((*one.members, other), key=_by_order)))
    if not one.members or not other.members:
        return ANY
    added = [member for member in other.members if not contains(one, member)]
    return AnyOf(tuple(sorted((*one.members, *added), key=_by_order)))


def _union_functions(left: Function, right: Function) -> Function | None:
    if len(left.args) != len(right.args) or (left.variadic is None) != (right.variadic is None):
        return None
    args = tuple(union(one, two) for one, two in zip(left.args, right.args, strict=True))
    return Function(args, union(left.result, right.result), union(left.variadic, right.variadic))


def select(one: Type | None, key: Value) -> Type | None:
    """Return the type of the part under a known key, None when there can be no such part."""
    match resolve(one):
        case Array() as array:
            return item(array, key) if type(key) is int else None
        case Object() as thing:
            return property_type(thing, key)
        case Set(of):
            wanted = type_of(key)
            if compare(of, wanted) == 0:
                return of
            return wanted if isinstance(of, AnyOf) and contains(of, wanted) else None
        case AnyOf(members):
            return _fold(members, lambda member: select(member, key)) if members else ANY
    return None


def item(array: Array, position: int) -> Type | None:
    """Return the type of an array's item by its position from 0."""
    if position < 0:
        return None
    return array.static[position] if position < len(array.static) else array.dynamic


def property_type(thing: Object, key: Value) -> Type | None:
    """Return the type of an object's value under a known key."""
    frozen = freeze(key)
    if frozen in thing.static:
        return thing.static[frozen]
    if thing.dynamic is not None and contains(thing.dynamic[0], type_of(key)):
        return thing.dynamic[1]
    return None


def keys(one: Type | None) -> Type | None:
    """Return the type of the keys, None for what has none; a set's members are its keys."""
    match resolve(one):
        case Array():
            return NUMBER
        case Object(static, dynamic):
            found = _fold(static, lambda key: type_of(thaw(key)))
            return union(found, dynamic[0]) if dynamic is not None else found
        case Set(of):
            return of
        case AnyOf(members):
            return _fold(members, keys) if members else ANY
    return None


def values_of(one: Type | None) -> Type | None:
    """Return the type of the items, values or members, None for what has none."""
    match resolve(one):
        case Array(static, dynamic):
            return union(_fold(static, lambda part: part), dynamic)
        case Object(static, pairs):
            found = _fold(static.values(), lambda part: part)
            return union(found, pairs[1]) if pairs is not None else found
        case Set(of):
            return of
        case AnyOf(members):
            return _fold(members, values_of) if members else ANY
    return None


def _fold(parts: Iterable[Any], get: Callable[[Any], Type | None]) -> Type | None:
    result: Type | None = None
    for part in parts:
        result = union(result, get(part))
    return result


def is_unknown(one: Type | None) -> bool:
    """Return whether a type, or a part of it, is unknown."""
    return _is_unknown(one, set())


def _is_unknown(one: Type | None, seen: set[int]) -> bool:
    one = resolve(one)
    if one is None:
        return True
    if isinstance(one, Plain | AnyOf) or id(one) in seen:
        return False
    seen.add(id(one))
    parts: tuple[Type | None, ...]
    match one:
        case Array(static, dynamic):
            parts = static if dynamic is None else (*static, dynamic)
        case Object(static, pairs):
            parts = (*static.values(), *(pairs or ()))
        case Set(of):
            parts = (of,)
        case Function(args, result):
            parts = (*args, result)
    return any(_is_unknown(part, seen) for part in parts)


def type_of(value: Value) -> Type:
    """Return the type of a value."""
    match value:
        case None:
            return NULL
        case bool():
            return BOOLEAN
        case str():
            return STRING
        case list():
            return Array(tuple(map(type_of, value)))
        case dict():
            return make_object((key, type_of(part)) for key, part in value.items())
        case values.RegoSet():
            return Array(tuple(map(type_of, value)))
    return NUMBER
