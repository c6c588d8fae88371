"""Functions over whole collections.

Pure. Semantics of OPA v1.22 v1/topdown/aggregates.go.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Final

from policy_agent.model import UNDEFINED
from policy_agent.rego.builtins import big_float, operands
from policy_agent.rego.builtins.big_float import BigFloat
from policy_agent.rego.builtins.registry import Builtin, element_type_error, operand_type_error
from policy_agent.rego.values import RegoSet, Value, compare, ordered

# Go's NewFloat, where a product begins, has a double's precision and keeps it.
_PRODUCT_PRECISION: Final = 53


def count(whole: Value) -> int:
    """Return how many members a collection has, or characters a string."""
    kind = type(whole)
    if kind is list or kind is dict or kind is str or kind is RegoSet:
        return len(whole)
    raise operand_type_error(1, whole, "array", "object", "set", "string")


def _members(whole: Value) -> list[Value]:
    if type(whole) is list:
        return whole
    if type(whole) is RegoSet:
        return list(whole)
    raise operand_type_error(1, whole, "set", "array")


def _accumulate(
    whole: Value,
    start: int,
    exact: Callable[[int, int], int],
    rounded: Callable[[BigFloat, BigFloat], BigFloat],
) -> Value:
    members = _members(whole)
    if all(type(member) is int for member in members):
        return reduce(exact, members, start)
    for member in members:
        if not operands.is_number(member):
            raise element_type_error(1, whole, member, "number")
    integers = [operands.exact_int_or_none(member) for member in members]
    known = [integer for integer in integers if integer is not None]
    if len(known) == len(integers):
        return reduce(exact, known, start)
    total = reduce(rounded, map(big_float.from_number, members), big_float.from_int(start))
    return big_float.to_number(total)


def sum_(whole: Value) -> Value:
    """Return the sum of an array's or set's numbers."""
    if type(whole) is list and all(type(member) is int for member in whole):
        return sum(whole)
    return _accumulate(whole, 0, int.__add__, big_float.add)


def product(whole: Value) -> Value:
    """Return the product of an array's or set's numbers."""
    return _accumulate(whole, 1, int.__mul__, _multiply)


def _multiply(left: BigFloat, right: BigFloat) -> BigFloat:
    return big_float.multiply(left, right, _PRODUCT_PRECISION)


def max_(whole: Value) -> Value:
    """Return the last member in Rego's order, UNDEFINED of an empty collection."""
    return _extreme(_members(whole), 1)


def min_(whole: Value) -> Value:
    """Return the first member in Rego's order, UNDEFINED of an empty collection."""
    return _extreme(_members(whole), -1)


def _extreme(members: list[Value], direction: int) -> Value:
    if not members:
        return UNDEFINED
    if set(map(type, members)) in ({int}, {str}):
        return max(members) if direction > 0 else min(members)
    best = members[0]
    for member in members[1:]:
        # Of equals that are written differently (`1`, `1.0`) the last one wins.
        if compare(member, best) * direction >= 0:
            best = member
    return best


def sort(whole: Value) -> list[Value]:
    """Return the members in Rego's order."""
    return ordered(_members(whole))


def _is_true(whole: Value) -> list[bool]:
    if type(whole) is list or type(whole) is RegoSet:
        return [member is True for member in whole]
    raise operand_type_error(1, whole, "array", "set")


def all_(whole: Value) -> bool:
    """Return whether all members are true."""
    return all(_is_true(whole))


def any_(whole: Value) -> bool:
    """Return whether a member is true."""
    return any(_is_true(whole))


BUILTINS: Final = {
    builtin.name: builtin
    for builtin in (
        Builtin("count", count),
        Builtin("sum", sum_),
        Builtin("product", product),
        Builtin("max", max_),
        Builtin("min", min_),
        Builtin("sort", sort),
        Builtin("all", all_),
        Builtin("any", any_),
    )
}
