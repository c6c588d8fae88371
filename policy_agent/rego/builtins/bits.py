"""Bitwise operations on integers of any size, in two's complement.

Pure. Semantics of OPA v1.22 v1/topdown/bits.go.
"""

from __future__ import annotations

from typing import Final

from policy_agent.rego.builtins import operands
from policy_agent.rego.builtins.registry import Builtin, BuiltinError, operand_error
from policy_agent.rego.values import Value

# Far beyond any use, and little enough memory not to harm the process.
_MAX_SHIFT: Final = 1 << 26


def bits_and(left: Value, right: Value) -> int:
    """Return the bits that both have."""
    return operands.need_big_int(left, 1) & operands.need_big_int(right, 2)


def bits_or(left: Value, right: Value) -> int:
    """Return the bits that either has."""
    return operands.need_big_int(left, 1) | operands.need_big_int(right, 2)


def bits_xor(left: Value, right: Value) -> int:
    """Return the bits that exactly one has."""
    return operands.need_big_int(left, 1) ^ operands.need_big_int(right, 2)


def bits_negate(value: Value) -> int:
    """Return the number with every bit flipped."""
    return ~operands.need_big_int(value, 1)


def _shift(value: Value) -> int:
    places = operands.need_big_int(value, 2)
    if places < 0:
        raise operand_error(2, "must be an unsigned integer number but got a negative integer")
    return places


def bits_lsh(value: Value, places: Value) -> int:
    """Return the number shifted left.

    Raises:
        BuiltinError: the result would need many megabytes.
    """
    number, shift = operands.need_big_int(value, 1), _shift(places)
    if number and shift > _MAX_SHIFT:
        raise BuiltinError("shift count is too large")
    return number << shift if number else 0


def bits_rsh(value: Value, places: Value) -> int:
    """Return the number shifted right; the sign stays."""
    return operands.need_big_int(value, 1) >> _shift(places)


BUILTINS: Final = {
    builtin.name: builtin
    for builtin in (
        Builtin("bits.and", bits_and),
        Builtin("bits.or", bits_or),
        Builtin("bits.xor", bits_xor),
        Builtin("bits.negate", bits_negate),
        Builtin("bits.lsh", bits_lsh),
        Builtin("bits.rsh", bits_rsh),
    )
}
