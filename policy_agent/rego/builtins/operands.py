"""Checks of operands' types, in OPA's words.

Pure. Source: OPA v1.22 v1/topdown/builtins/builtins.go.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from policy_agent.number import Number
from policy_agent.rego.builtins.registry import (
    element_type_error,
    operand_error,
    operand_type_error,
)
from policy_agent.rego.values import Frozen, RegoSet, Value

_INT64: Final = 2**63
_INT64_DIGITS: Final = 19
_MAX_DIGITS: Final = 400_000
_NOT_AN_INTEGER: Final = "must be integer number but got floating-point number"


def is_number(value: Value) -> bool:
    """Return whether a value is a number; booleans are none."""
    return type(value) is int or isinstance(value, Decimal)


def int64_or_none(value: Value) -> int | None:
    """Return a number whose text is that of an int64 (`10`, `10.00`, not `1e1`), else None."""
    if type(value) is int:
        return value if -_INT64 <= value < _INT64 else None
    if not isinstance(value, Number):
        return None
    whole, _, fraction = value.text.partition(".")
    if fraction.strip("0") or len(value.text.lstrip("-")) > _INT64_DIGITS:
        return None
    return int(whole) if whole.lstrip("-").isdigit() else None


def exact_int_or_none(value: Value) -> int | None:
    """Return the integer that a number is equal to (10 for `10`, `10.0`, `1e1`), else None."""
    if type(value) is int:
        return value
    if not isinstance(value, Decimal) or abs(value.adjusted()) > _MAX_DIGITS:
        return None
    return int(value) if value == value.to_integral_value() else None


def need_string(value: Value, position: int) -> str:
    """Return a string operand.

    Raises:
        BuiltinError: it is no string.
    """
    if type(value) is not str:
        raise operand_type_error(position, value, "string")
    return value


def need_array(value: Value, position: int) -> list[Value]:
    """Return an array operand.

    Raises:
        BuiltinError: it is no array.
    """
    if type(value) is not list:
        raise operand_type_error(position, value, "array")
    return value


def need_object(value: Value, position: int) -> dict[Frozen, Value]:
    """Return an object operand.

    Raises:
        BuiltinError: it is no object.
    """
    if type(value) is not dict:
        raise operand_type_error(position, value, "object")
    return value


def need_set(value: Value, position: int) -> RegoSet:
    """Return a set operand.

    Raises:
        BuiltinError: it is no set.
    """
    if type(value) is not RegoSet:
        raise operand_type_error(position, value, "set")
    return value


def need_number(value: Value, position: int) -> Value:
    """Return a number operand.

    Raises:
        BuiltinError: it is no number.
    """
    if not is_number(value):
        raise operand_type_error(position, value, "number")
    return value


def need_int(value: Value, position: int) -> int:
    """Return a number operand that Go's `int` holds.

    Raises:
        BuiltinError: it is no number, not written as an integer or too large.
    """
    number = int64_or_none(need_number(value, position))
    if number is None:
        raise operand_error(position, _NOT_AN_INTEGER)
    return number


def need_big_int(value: Value, position: int) -> int:
    """Return a number operand that is an integer of any size, however it is written.

    Raises:
        BuiltinError: it is no number or has a fraction.
    """
    if type(value) is int:
        return value
    if not is_number(value):
        raise operand_type_error(position, value, "integer")
    number = exact_int_or_none(value)
    if number is None:
        raise operand_error(position, _NOT_AN_INTEGER)
    return number


def need_strings(value: Value, position: int) -> list[str]:
    """Return the members of an operand that is an array or a set of strings.

    Raises:
        BuiltinError: it is neither, or has another member.
    """
    if type(value) is not list and type(value) is not RegoSet:
        raise operand_type_error(position, value, "array", "set")
    members = list(value)
    for member in members:
        if type(member) is not str:
            raise element_type_error(position, value, member, "string")
    return members
