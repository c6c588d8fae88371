"""Conversions between types.

Pure. Semantics of OPA v1.22 v1/topdown/casts.go.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from policy_agent.number import Number
from policy_agent.rego.builtins.operands import is_number
from policy_agent.rego.builtins.registry import Builtin, BuiltinError, operand_type_error
from policy_agent.rego.values import Value

_DIGITS: Final = r"\d+(?:_\d+)*"
_DECIMAL: Final = re.compile(
    rf"[+-]?(?:{_DIGITS}\.?(?:{_DIGITS})?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?", re.ASCII
)
_JSON_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_MAX_DIGITS: Final = 4000
_MAX_DOUBLE: Final = Number("1.7976931348623158e308")


def to_number(value: Value) -> Value:
    """Return the number that a null, boolean, number or string stands for.

    Raises:
        BuiltinError: the string is not a number, or not one a double can hold.
    """
    if value is None:
        return 0
    if type(value) is bool:
        return int(value)
    if is_number(value):
        return value
    if type(value) is not str:
        raise operand_type_error(1, value, "null", "boolean", "number", "string")
    if value.lstrip("+-").lower() in ("inf", "infinity", "nan"):
        raise operand_type_error(1, value, "valid number string")
    quoted = value.replace('"', '\\"')
    if not _DECIMAL.fullmatch(value):
        raise BuiltinError(f'strconv.ParseFloat: parsing "{quoted}": invalid syntax')
    number = Number(value)
    if abs(number) >= _MAX_DOUBLE:
        raise BuiltinError(f'strconv.ParseFloat: parsing "{quoted}": value out of range')
    if not _JSON_NUMBER.fullmatch(value):
        # OPA keeps the text and then cannot print it; JSON has another way to write the number.
        value = str(Decimal(value))
        number = Number(value)
    if value.lstrip("-").isdigit() and len(value) <= _MAX_DIGITS and value != "-0":
        return int(value)
    return number


BUILTINS: Final = {"to_number": Builtin("to_number", to_number)}
