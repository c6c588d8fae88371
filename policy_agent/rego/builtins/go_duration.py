"""Durations as Go writes them (`1h30m`), and OPA's extension of them by days, weeks and years.

Pure. Source: Go time.ParseDuration; OPA v1.22 v1/topdown/time.go and durationparser/duration.peg.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from policy_agent.rego.builtins.operand_text import quoted

_UNIT_NANOS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_EXTENDED_HOURS: Final = {"d": 24, "w": 7 * 24, "y": 365 * 24}
_MAX: Final = 2**63
_PART: Final = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]*)")
_SEGMENT: Final = re.compile(r"([0-9.]+)(ms|us|µs|ns|[a-z])")


class DurationError(ValueError):
    """A text is no duration; the message is Go's."""


def quote(text: str) -> str:
    """Return a text in double quotes, as Go's time package quotes what it refuses."""
    out = []
    for char in text:
        if char in '"\\':
            out.append("\\" + char)
        elif " " <= char <= "~":
            out.append(char)
        else:
            out += [f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogatepass")]
    return f'"{"".join(out)}"'


def parse_duration(text: str) -> int:
    """Return the nanoseconds of a Go duration.

    Raises:
        DurationError: in Go's words.
    """
    invalid = DurationError(f"time: invalid duration {quote(text)}")
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return 0
    if not rest:
        raise invalid
    total = 0
    position = 0
    while position < len(rest):
        part = _PART.match(rest, position)
        assert part is not None
        total += _part_nanos(part, text)
        if total > _MAX:
            raise invalid
        position = part.end()
    if text[0] == "-":
        return -total
    if total > _MAX - 1:
        raise invalid
    return total


def _part_nanos(part: re.Match[str], text: str) -> int:
    whole, fraction, unit = part.group(1), part.group(2) or "", part.group(3)
    if not whole and not fraction:
        raise DurationError(f"time: invalid duration {quote(text)}")
    if not unit:
        # A second dot ends the number as well, and nothing that is a unit follows.
        raise DurationError(f"time: missing unit in duration {quote(text)}")
    scale = _UNIT_NANOS.get(unit)
    if scale is None:
        raise DurationError(f"time: unknown unit {quote(unit)} in duration {quote(text)}")
    return int(whole or "0") * scale + _fraction_nanos(fraction, scale)


def _fraction_nanos(digits: str, scale: int) -> int:
    """Return a fraction of a unit in nanoseconds with Go's rounding: in floating point."""
    value, power = 0, 1.0
    for digit in digits:
        if value > (_MAX - 1) // 10 or value * 10 + int(digit) > _MAX:
            break
        value = value * 10 + int(digit)
        power *= 10
    return int(float(value) * (float(scale) / power))


def parse_extended_duration(text: str) -> int:
    """Return the nanoseconds of a Go duration that may use `d`, `w` and `y` as well.

    Raises:
        DurationError: in OPA's words.
    """
    if not text or not any(unit in text for unit in _EXTENDED_HOURS):
        return parse_duration(text)
    sign = text[0] if text[0] in "+-" else ""
    invalid = DurationError(f"time: invalid duration {quoted(text)}")
    out = [sign]
    position = len(sign)
    while position < len(text):
        segment = _SEGMENT.match(text, position)
        if segment is None:
            raise invalid
        digits, unit = segment.groups()
        position = segment.end()
        hours = _EXTENDED_HOURS.get(unit)
        if hours is None:
            out.append(digits + unit)
        else:
            out.append(_in_hours(digits, hours, invalid))
    if len(out) == 1:
        raise invalid
    try:
        return parse_duration("".join(out))
    except DurationError as exc:
        raise DurationError(f"{str(exc).rpartition(' ')[0]} {quoted(text)}") from exc


def _in_hours(digits: str, hours: int, invalid: DurationError) -> str:
    try:
        value = float(digits) * hours
        return f"{Decimal(repr(value)):f}".removesuffix(".0") + "h"
    except (ValueError, ArithmeticError):
        raise invalid from None
