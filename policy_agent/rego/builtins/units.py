"""Amounts with units.

Pure. Semantics of OPA v1.22 v1/topdown/parse_units.go and parse_bytes.go.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

from policy_agent.number import Number
from policy_agent.rego.builtins import big_float, operands
from policy_agent.rego.builtins.registry import Builtin, BuiltinError
from policy_agent.rego.values import Value

_DECIMAL_POWERS: Final = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5, "e": 6}
# Go's SetFloat64(0.001) is the double, not the decimal.
_MILLI: Final = Fraction(0.001)
_AMOUNT: Final = re.compile(r"(?:[\d.+-]|e[+-]|e(?=\d))*", re.ASCII | re.IGNORECASE)
_EXPONENT: Final = re.compile(r"e[+-]?(\d+)", re.ASCII | re.IGNORECASE)
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_MAX_EXPONENT_DIGITS: Final = 6
_FRACTION_DIGITS: Final = 10


def _split(name: str, text: str, noun: str) -> tuple[str, str]:
    if " " in text:
        raise BuiltinError(f"{name}: spaces not allowed in resource strings")
    found = _AMOUNT.match(text)
    amount = found[0] if found else ""
    if any(len(digits) > _MAX_EXPONENT_DIGITS for digits in _EXPONENT.findall(amount)):
        raise BuiltinError(f"{name}: exponent too large")
    if not amount:
        raise BuiltinError(f"{name}: no {noun} provided")
    return amount, text[len(amount) :]


def _checked(name: str, amount: str, noun: str) -> str:
    if not _NUMBER.fullmatch(amount):
        raise BuiltinError(f"{name}: could not parse {noun} to a number")
    return amount


def parse(text: Value) -> Value:
    """Return the number of an amount such as `10k`, `1.5Mi` or `100m`.

    Raises:
        BuiltinError: it is not an amount, or the unit is unknown.
    """
    name = "units.parse"
    amount, unit = _split(name, operands.need_string(text, 1).replace('"', ""), "amount")
    unit = unit[:1] + unit[1:].lower()
    factor = _MILLI if unit == "m" else _factor(unit)
    if factor is None:
        raise BuiltinError(f"{name}: unit {unit} not recognized")
    value = Fraction(_checked(name, amount, "amount")) * factor
    return int(value) if value.denominator == 1 else Number(_ten_digits(value))


def _factor(unit: str) -> Fraction | None:
    letter, binary = unit[:1].lower(), unit[1:]
    power = _DECIMAL_POWERS.get(letter)
    if power is None or binary not in ("", "i") or (binary and not letter):
        return None
    return Fraction(1024 if binary else 1000) ** power


def _ten_digits(value: Fraction) -> str:
    scaled, rest = divmod(abs(value) * 10**_FRACTION_DIGITS, 1)
    scaled += rest >= Fraction(1, 2)
    whole, fraction = divmod(int(scaled), 10**_FRACTION_DIGITS)
    sign = "-" if value < 0 else ""
    return f"{sign}{whole}.{fraction:0{_FRACTION_DIGITS}}"


def parse_bytes(text: Value) -> int:
    """Return the number of bytes of an amount such as `10KB` or `1.5gib`, cut to an integer.

    Raises:
        BuiltinError: it is not an amount, or the unit is unknown.
    """
    name = "units.parse_bytes"
    given = operands.need_string(text, 1).lower().replace('"', "")
    amount, unit = _split(name, given, "byte amount")
    short = unit.removesuffix("b") if len(unit) > 1 else unit
    factor = _factor(short)
    if factor is None or unit == "b":
        raise BuiltinError(f"{name}: byte unit {unit} not recognized")
    value = big_float.from_number(Number(_checked(name, amount, "byte amount")))
    return big_float.multiply(value, big_float.from_int(int(factor))).truncated()


BUILTINS: Final = {
    builtin.name: builtin
    for builtin in (Builtin("units.parse", parse), Builtin("units.parse_bytes", parse_bytes))
}
