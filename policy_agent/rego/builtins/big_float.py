"""Binary floating point of a chosen precision, as Go's `math/big.Float` computes and prints it.

Pure. OPA calculates with numbers that are not integers in 64 bits of mantissa, rounds to nearest
even, and prints the shortest decimal that reads back as the same number. Decimals are read as Go
reads them: the power of five that scales one is itself rounded, to 64 bits more.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from msgspec import Struct

from policy_agent.number import Number
from policy_agent.rego.builtins.registry import BuiltinError

PRECISION: Final = 64
_GUARD_BITS: Final = 64
_EXACT_POWER_OF_FIVE: Final = 27
_SCIENTIFIC_FROM: Final = 6
_MAX_EXPONENT: Final = 400_000


class BigFloat(Struct, frozen=True):
    """A number `mantissa * 2**exponent`, negative or not.

    Attributes:
        precision: the bits a mantissa may have; the mantissa of zero is 0.
    """

    negative: bool
    mantissa: int
    exponent: int
    precision: int = PRECISION

    @property
    def is_integer(self) -> bool:
        """Whether the number has no fraction."""
        if self.exponent >= 0 or not self.mantissa:
            return True
        return self.mantissa & ((1 << -self.exponent) - 1) == 0

    def truncated(self) -> int:
        """Return the integer next to the number on the side of zero."""
        if self.exponent >= 0:
            size = self.mantissa << self.exponent
        else:
            size = self.mantissa >> -self.exponent
        return -size if self.negative else size


def _rounded(negative: bool, mantissa: int, exponent: int, precision: int) -> BigFloat:
    excess = mantissa.bit_length() - precision
    if excess > 0:
        rest = mantissa & ((1 << excess) - 1)
        mantissa >>= excess
        exponent += excess
        half = 1 << (excess - 1)
        if rest > half or (rest == half and mantissa & 1):
            mantissa += 1
    return BigFloat(negative, mantissa, exponent, precision)


def from_int(value: int, precision: int = PRECISION) -> BigFloat:
    """Return an integer rounded to `precision` bits."""
    return _rounded(value < 0, abs(value), 0, precision)


def from_int_exactly(value: int) -> BigFloat:
    """Return an integer with as many bits as it needs, 64 at least."""
    return from_int(value, max(PRECISION, value.bit_length()))


def from_number(value: int | Decimal) -> BigFloat:
    """Read a number.

    Raises:
        BuiltinError: its exponent is out of all proportion.
    """
    if isinstance(value, int):
        return from_int(value)
    sign, digits, power = value.as_tuple()
    if not isinstance(power, int) or abs(power) > _MAX_EXPONENT:
        raise BuiltinError("number too big")
    plain = BigFloat(bool(sign), int(Decimal((0, digits, 0))), power)
    if not power or not plain.mantissa:
        return _rounded(plain.negative, plain.mantissa, 0, PRECISION)
    scale = _power_of_five(abs(power))
    return divide(plain, scale) if power < 0 else multiply(plain, scale)


def _power_of_five(power: int) -> BigFloat:
    precision = PRECISION + _GUARD_BITS
    known = min(power, _EXACT_POWER_OF_FIVE)
    result = from_int(5**known, precision)
    factor = from_int(5, precision + _GUARD_BITS)
    power -= known
    while power:
        if power & 1:
            result = multiply(result, factor, precision)
        factor = multiply(factor, factor, factor.precision)
        power >>= 1
    return result


def add(left: BigFloat, right: BigFloat, precision: int = PRECISION) -> BigFloat:
    """Return the rounded sum."""
    exponent = min(left.exponent, right.exponent)
    total = 0
    for term in (left, right):
        size = term.mantissa << (term.exponent - exponent)
        total += -size if term.negative else size
    negative = total < 0 or (not total and left.negative and right.negative)
    return _rounded(negative, abs(total), exponent, precision)


def negated(value: BigFloat) -> BigFloat:
    """Return the number with the other sign."""
    return BigFloat(not value.negative, value.mantissa, value.exponent, value.precision)


def multiply(left: BigFloat, right: BigFloat, precision: int = PRECISION) -> BigFloat:
    """Return the rounded product."""
    return _rounded(
        left.negative != right.negative,
        left.mantissa * right.mantissa,
        left.exponent + right.exponent,
        precision,
    )


def divide(left: BigFloat, right: BigFloat, precision: int = PRECISION) -> BigFloat:
    """Return the rounded quotient; the divisor is not zero."""
    wanted = precision + 2 + right.mantissa.bit_length() - left.mantissa.bit_length()
    shift = max(0, wanted)
    quotient, rest = divmod(left.mantissa << shift, right.mantissa)
    # One bit more that says whether anything follows, so that halves round as they should.
    return _rounded(
        left.negative != right.negative,
        quotient << 1 | (rest != 0),
        left.exponent - right.exponent - shift - 1,
        precision,
    )


def to_number(value: BigFloat) -> int | Number:
    """Return the shortest number that reads back as `value`: an int if it is integral."""
    digits, point = _shortest(value)
    sign = "-" if value.negative else ""
    if value.is_integer:
        text = digits.ljust(point, "0") or "0"
        return Number("-0") if text == "0" and sign else int(Decimal(sign + text))
    return Number(sign + layout(digits, point))


def layout(digits: str, point: int) -> str:
    """Return digits with the point behind the first `point` of them, in Go's shortest `%g`."""
    exponent = point - 1
    if exponent < -4 or exponent >= _SCIENTIFIC_FROM:
        fraction = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{digits[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):02}"
    if point <= 0:
        return f"0.{'0' * -point}{digits}"
    fraction = f".{digits[point:]}" if digits[point:] else ""
    return f"{digits[:point].ljust(point, '0')}{fraction}"


def double_text(value: float) -> str:
    """Return a finite double in Go's shortest `%g`."""
    sign, digits, power = Decimal(repr(value)).normalize().as_tuple()
    text = "".join(map(str, digits))
    return ("-" if sign else "") + (layout(text, len(text) + int(power)) if value else "0")


def _digits(whole: int) -> str:
    # Python's own conversion refuses more than some thousand digits; Decimal's does not.
    return str(Decimal(whole))


def _decimal(mantissa: int, exponent: int) -> tuple[str, int]:
    """Return all digits of `mantissa * 2**exponent` and how many stand before the point."""
    if exponent >= 0:
        text, power = _digits(mantissa << exponent), 0
    else:
        text, power = _digits(mantissa * 5**-exponent), exponent
    return text.rstrip("0"), len(text) + power


def _shortest(value: BigFloat) -> tuple[str, int]:
    if not value.mantissa:
        return "", 0
    digits, point = _decimal(value.mantissa, value.exponent)
    shift = value.precision + 1 - value.mantissa.bit_length()
    twice, exponent = value.mantissa << shift, value.exponent - shift
    inclusive = not twice & 2
    lower, _ = _decimal(twice - 1, exponent)
    upper, _ = _decimal(twice + 1, exponent)
    for index, digit in enumerate(digits):
        below = lower[index] if index < len(lower) else "0"
        above = upper[index] if index < len(upper) else "0"
        down = below != digit or (inclusive and index + 1 == len(lower))
        up = digit != above and (inclusive or int(digit) + 1 < int(above) or index + 1 < len(upper))
        if down and up:
            return _cut(digits, point, index + 1, up=_rounds_up(digits, index + 1))
        if down or up:
            return _cut(digits, point, index + 1, up=up)
    return digits, point


def _rounds_up(digits: str, count: int) -> bool:
    if count >= len(digits):
        return False
    if digits[count] == "5" and count + 1 == len(digits):
        return int(digits[count - 1]) % 2 == 1
    return digits[count] >= "5"


def _cut(digits: str, point: int, count: int, *, up: bool) -> tuple[str, int]:
    if count >= len(digits):
        return digits, point
    kept = digits[:count]
    if up:
        kept = _digits(int(Decimal(kept)) + 1)
        point += len(kept) - count
    return kept.rstrip("0"), point
