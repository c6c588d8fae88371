"""Rego values as Python values, and the rules of equality and order among them.

Pure. JSON as the decoder yields it is already a value, so inputs and data are used as they are:

* null, booleans and strings are None, bool and str; integers are int, other numbers Number;
* arrays are lists;
* objects are dicts whose keys are frozen values: text keys are plain str;
* sets are RegoSet.

Python takes `True` for `1` and cannot hash lists. A *frozen* value has neither problem: scalars but
booleans are themselves, the rest is an instance of a class below. Dict keys and set members are
frozen. Nothing ever changes a value in place once it can be reached from two places.

Order follows OPA v1.22 v1/ast/compare.go: null, booleans, numbers, strings, arrays, objects, sets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from enum import Enum
from functools import cmp_to_key
from typing import Any, Final

from policy_agent.codec import encode_json
from policy_agent.number import Number
from policy_agent.rego.work import spend

Value = Any
Frozen = Any


class FrozenBool(Enum):
    """A boolean that is not equal to a number."""

    FALSE = False
    TRUE = True


class FrozenArray(tuple[Frozen, ...]):
    """An array as a dict key or set member."""

    __slots__ = ()


class FrozenObject(frozenset[tuple[Frozen, Frozen]]):
    """An object as a dict key or set member: its (key, value) pairs, and `OBJECT_MARK`.

    Without the mark, `{}` would equal an empty set and `{"a": 1}` the set `{["a", 1]}`.
    """

    __slots__ = ()


OBJECT_MARK: Final = (FrozenObject, FrozenObject)


class FrozenSet(frozenset[Frozen]):
    """A set as a dict key or set member."""

    __slots__ = ()


class RegoSet:
    """An immutable set of values.

    Attributes:
        members: frozen member -> the member itself.
    """

    __slots__ = ("_ordered", "members")

    def __init__(self, members: dict[Frozen, Value]) -> None:
        self.members = members
        self._ordered: list[Value] | None = None

    @classmethod
    def of(cls, values: Iterable[Value]) -> RegoSet:
        """Return the set of some values."""
        members: dict[Frozen, Value] = {}
        for value in values:
            # Of equals that are written differently (`1`, `1.0`) the first one stays.
            members.setdefault(freeze(value), value)
        return cls(members)

    def __contains__(self, value: Value) -> bool:
        return freeze(value) in self.members

    def __len__(self) -> int:
        return len(self.members)

    def __iter__(self) -> Iterator[Value]:
        """Iterate in Rego's order."""
        if self._ordered is None:
            self._ordered = ordered(self.members.values())
        return iter(self._ordered)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RegoSet) and self.members.keys() == other.members.keys()

    def __hash__(self) -> int:
        return hash(frozenset(self.members))

    def __repr__(self) -> str:
        return f"RegoSet({list(self)!r})"


def freeze(value: Value) -> Frozen:
    """Return the frozen form of a value: hashable, and equal only to its equals."""
    kind = type(value)
    if kind is str or kind is int or value is None:
        return value
    if kind is bool:
        return FrozenBool.TRUE if value else FrozenBool.FALSE
    if kind is list:
        spend(len(value))
        return FrozenArray([item if type(item) is str else freeze(item) for item in value])
    if kind is dict:
        spend(len(value))
        pairs = [(key, item if type(item) is str else freeze(item)) for key, item in value.items()]
        return FrozenObject([OBJECT_MARK, *pairs])
    if kind is RegoSet:
        return FrozenSet(value.members)
    return value


def thaw(frozen: Frozen) -> Value:
    """Return the value that a frozen form stands for."""
    kind = type(frozen)
    if kind is FrozenBool:
        return frozen.value
    if kind is FrozenArray:
        spend(len(frozen))
        return [thaw(item) for item in frozen]
    if kind is FrozenObject:
        spend(len(frozen))
        return {pair[0]: thaw(pair[1]) for pair in frozen if pair is not OBJECT_MARK}
    if kind is FrozenSet:
        return RegoSet({item: thaw(item) for item in frozen})
    return frozen


def equal(left: Value, right: Value) -> bool:
    """Return whether two values are the same Rego value; `1` and `1.0` are, `1` and `true` not."""
    if left is right:
        return True
    kind = type(left)
    if kind is not type(right):
        numbers = isinstance(left, int | Decimal) and isinstance(right, int | Decimal)
        booleans = kind is bool or type(right) is bool
        return numbers and not booleans and bool(left == right)
    if kind is list:
        spend(len(left))
        return len(left) == len(right) and all(map(equal, left, right))
    if kind is dict:
        spend(len(left))
        return left.keys() == right.keys() and all(
            equal(item, right[key]) for key, item in left.items()
        )
    return bool(left == right)


_RANK: Final = {type(None): 0, bool: 1, int: 2, str: 3, list: 4, dict: 5, RegoSet: 6}
_NUMBER_RANK: Final = 2


def rank(value: Value) -> int:
    """Return the place of a value's type in Rego's order."""
    return _RANK.get(type(value), _NUMBER_RANK)


def compare(left: Value, right: Value) -> int:
    """Return -1, 0 or 1 as `left` comes before, equals or comes after `right`."""
    kind, other = rank(left), rank(right)
    if kind != other:
        return -1 if kind < other else 1
    if kind <= _RANK[str]:
        if left is None:
            return 0
        return int(left > right) - int(left < right)
    if kind == _RANK[list]:
        return _compare_items(left, right)
    if kind == _RANK[dict]:
        return _compare_objects(left, right)
    return _compare_items(list(left), list(right))


def _compare_items(left: list[Value], right: list[Value]) -> int:
    spend(len(left))
    for one, two in zip(left, right, strict=False):
        if result := compare(one, two):
            return result
    return (len(left) > len(right)) - (len(left) < len(right))


def _compare_objects(left: dict[Frozen, Value], right: dict[Frozen, Value]) -> int:
    spend(len(left))
    left_keys, right_keys = ordered_keys(left), ordered_keys(right)
    for one, two in zip(left_keys, right_keys, strict=False):
        if result := compare(thaw(one), thaw(two)):
            return result
        if result := compare(left[one], right[two]):
            return result
    return (len(left) > len(right)) - (len(left) < len(right))


_by_order = cmp_to_key(compare)


def ordered(values: Iterable[Value]) -> list[Value]:
    """Return values in Rego's order."""
    items = list(values)
    if len(items) < 2:
        return items
    kinds = set(map(type, items))
    if kinds in ({str}, {int}):
        return sorted(items)
    return sorted(items, key=_by_order)


def ordered_keys(value: dict[Frozen, Value]) -> list[Frozen]:
    """Return an object's frozen keys in Rego's order."""
    keys = list(value)
    if all(type(key) is str for key in keys):
        keys.sort()
        return keys
    return sorted(keys, key=lambda key: _by_order(thaw(key)))


def type_name(value: Value) -> str:
    """Return a value's type by Rego's name."""
    names = ("null", "boolean", "number", "string", "array", "object", "set")
    return names[rank(value)]


def to_json(value: Value) -> Any:
    """Return the JSON document that OPA answers for a value.

    Sets become arrays in order; keys that are no strings become their JSON text.
    """
    kind = type(value)
    if kind is dict:
        spend(len(value))
        return {
            key if type(key) is str else _key_text(key): (
                to_json(item) if type(item) in _CONTAINERS else item
            )
            for key, item in value.items()
        }
    if kind is list or kind is RegoSet:
        spend(len(value))
        return [to_json(item) if type(item) in _CONTAINERS else item for item in value]
    return value


_CONTAINERS: Final = frozenset({dict, list, RegoSet})


def _key_text(key: Frozen) -> str:
    return encode_json(to_json(thaw(key))).decode()


def with_exact_numbers(value: Any) -> Any:
    """Return a document with `Number` for every float, itself when it has none.

    The JSON decoder of this package makes no floats, the standard library's does; in the engine
    a float would be no number at all.
    """
    return _exact(value) if _has_float(value) else value


def _has_float(value: Any) -> bool:
    kind = type(value)
    if kind is dict:
        return any(map(_has_float, value.values()))
    if kind is list:
        return any(map(_has_float, value))
    return kind is float


def _exact(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        return {key: _exact(item) for key, item in value.items()}
    if kind is list:
        return [_exact(item) for item in value]
    return Number(repr(value)) if kind is float else value
