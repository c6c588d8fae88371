"""Arithmetic: integers are exact, everything else is a 64-bit `BigFloat`.

Pure. Semantics of OPA v1.22 v1/topdown/arithmetic.go and numbers.go.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from policy_agent.rego.builtins import big_float, operands
from policy_agent.rego.builtins.big_float import BigFloat
from policy_agent.rego.builtins.registry import (
    ELEMENT_SIZE,
    Builtin,
    BuiltinError,
    check_size,
    operand_type_error,
)
from policy_agent.rego.context import Context
from policy_agent.rego.values import RegoSet, Value

_INT32: Final = 1 << 31
_INT64_BITS: Final = 64
_RANGE_CHUNK: Final = 100_000
_HALF: Final = BigFloat(False, 1, -1)
_ONE: Final = BigFloat(False, 1, 0)


def _two(left: Value, right: Value) -> tuple[int | Decimal, int | Decimal]:
    return operands.need_number(left, 1), operands.need_number(right, 2)


def _both_integers(left: int | Decimal, right: int | Decimal) -> tuple[int, int] | None:
    one, two = operands.exact_int_or_none(left), operands.exact_int_or_none(right)
    return None if one is None or two is None else (one, two)


def _float_result(
    operation: Callable[[BigFloat, BigFloat], BigFloat], left: int | Decimal, right: int | Decimal
) -> Value:
    result = operation(big_float.from_number(left), big_float.from_number(right))
    return big_float.to_number(result)


def plus(left: Value, right: Value) -> Value:
    """Return `left + right`."""
    if type(left) is int and type(right) is int:
        return left + right
    left, right = _two(left, right)
    if whole := _both_integers(left, right):
        return whole[0] + whole[1]
    return _float_result(big_float.add, left, right)


def mul(left: Value, right: Value) -> Value:
    """Return `left * right`."""
    if type(left) is int and type(right) is int:
        return left * right
    left, right = _two(left, right)
    if whole := _both_integers(left, right):
        return whole[0] * whole[1]
    return _float_result(big_float.multiply, left, right)


def minus(left: Value, right: Value) -> Value:
    """Return the difference of two numbers or two sets."""
    if type(left) is int and type(right) is int:
        return left - right
    if type(left) is RegoSet and type(right) is RegoSet:
        return difference(left, right)
    if operands.is_number(left) and operands.is_number(right):
        if whole := _both_integers(left, right):
            return whole[0] - whole[1]
        return _float_result(_subtract, left, right)
    if not operands.is_number(left) and type(left) is not RegoSet:
        raise operand_type_error(1, left, "number", "set")
    raise operand_type_error(2, right, "set" if operands.is_number(right) else "number")


def _subtract(left: BigFloat, right: BigFloat) -> BigFloat:
    return big_float.add(left, big_float.negated(right))


def difference(left: RegoSet, right: RegoSet) -> RegoSet:
    """Return the members of `left` that are not in `right`."""
    other = right.members
    return RegoSet({key: item for key, item in left.members.items() if key not in other})


def div(left: Value, right: Value) -> Value:
    """Return `left / right`.

    Raises:
        BuiltinError: `right` is zero.
    """
    left, right = _two(left, right)
    if not right:
        raise BuiltinError("divide by zero")
    if type(left) is int and type(right) is int:
        small = max(left.bit_length(), right.bit_length()) <= _INT64_BITS
        if left and small and left % right == 0:
            return left // right
    return _float_result(big_float.divide, left, right)


def rem(left: Value, right: Value) -> Value:
    """Return what is left of `left` divided by `right`, with the sign of `left`.

    Raises:
        BuiltinError: `right` is zero, or one of them is not an integer.
    """
    whole = _both_integers(*_two(left, right))
    if whole is None:
        raise BuiltinError("modulo on floating-point number")
    if not whole[1]:
        raise BuiltinError("modulo by zero")
    size = abs(whole[0]) % abs(whole[1])
    return -size if whole[0] < 0 else size


def _unary(operation: Callable[[BigFloat], BigFloat], value: Value) -> Value:
    value = operands.need_number(value, 1)
    small = operands.int64_or_none(value)
    if small is not None and -_INT32 <= small < _INT32:
        return abs(small) if operation is _absolute else small
    return big_float.to_number(operation(big_float.from_number(value)))


def _absolute(value: BigFloat) -> BigFloat:
    return big_float.negated(value) if value.negative else value


def _round(value: BigFloat) -> BigFloat:
    half = big_float.negated(_HALF) if value.negative else _HALF
    return big_float.from_int_exactly(big_float.add(value, half).truncated())


def _ceil(value: BigFloat) -> BigFloat:
    down = big_float.from_int_exactly(value.truncated())
    if down.negative or value.is_integer:
        return down
    # A number between -1 and 0 truncates to a zero without sign, so OPA answers 1.
    return big_float.add(down, _ONE, down.precision)


def _floor(value: BigFloat) -> BigFloat:
    down = big_float.from_int_exactly(value.truncated())
    if not down.negative or value.is_integer:
        return down
    return big_float.add(down, big_float.negated(_ONE), down.precision)


def absolute(value: Value) -> Value:
    """Return the number without its sign."""
    return _unary(_absolute, value)


def round_(value: Value) -> Value:
    """Return the nearest integer, halves away from zero."""
    return _unary(_round, value)


def ceil(value: Value) -> Value:
    """Return the next integer upwards, as OPA computes it."""
    return _unary(_ceil, value)


def floor(value: Value) -> Value:
    """Return the next integer downwards, as OPA computes it."""
    return _unary(_floor, value)


def numbers_range(context: Context, first: Value, last: Value) -> Value:
    """Return the integers from `first` to `last`, both included, upwards or downwards."""
    return _range(context, operands.need_big_int(first, 1), operands.need_big_int(last, 2), 1)


def numbers_range_step(context: Context, first: Value, last: Value, step: Value) -> Value:
    """Return every `step`-th integer from `first` to `last`.

    Raises:
        BuiltinError: the step is not positive.
    """
    start, stop = operands.need_big_int(first, 1), operands.need_big_int(last, 2)
    width = operands.need_big_int(step, 3)
    if width <= 0:
        raise BuiltinError("numbers.range_step: step must be a positive integer")
    return _range(context, start, stop, width)


def _range(context: Context, first: int, last: int, step: int) -> list[int]:
    up = first <= last
    wanted = range(first, last + 1, step) if up else range(first, last - 1, -step)
    values: list[int] = []
    context.check()
    check_size(abs(last - first) // step * ELEMENT_SIZE)
    # `len` refuses a range of more than an int64; slices of it do not.
    while chunk := wanted[len(values) : len(values) + _RANGE_CHUNK]:
        values.extend(chunk)
        context.check()
    return values


BUILTINS: Final = {
    builtin.name: builtin
    for builtin in (
        Builtin("plus", plus),
        Builtin("minus", minus),
        Builtin("mul", mul),
        Builtin("div", div),
        Builtin("rem", rem),
        Builtin("abs", absolute),
        Builtin("round", round_),
        Builtin("ceil", ceil),
        Builtin("floor", floor),
        Builtin("numbers.range", numbers_range, needs_context=True),
        Builtin("numbers.range_step", numbers_range_step, needs_context=True),
    )
}
