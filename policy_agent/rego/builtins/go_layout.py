"""Go's time layouts: a time written or read by the example of `Mon Jan 2 15:04:05 MST 2006`.

Pure. Source: Go time/format.go, as documented there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from policy_agent.rego.builtins.civil import (
    DAY_SECONDS,
    NANOS,
    civil_date,
    days_before,
    days_in,
    epoch_day,
    is_leap,
)
from policy_agent.rego.builtins.go_duration import quote

WEEKDAYS: Final = (
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
)
MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
RFC3339: Final = "2006-01-02T15:04:05Z07:00"
RFC3339_NANO: Final = "2006-01-02T15:04:05.999999999Z07:00"
NAMED_LAYOUTS: Final = {
    "ANSIC": "Mon Jan _2 15:04:05 2006",
    "UnixDate": "Mon Jan _2 15:04:05 MST 2006",
    "RubyDate": "Mon Jan 02 15:04:05 -0700 2006",
    "RFC822": "02 Jan 06 15:04 MST",
    "RFC822Z": "02 Jan 06 15:04 -0700",
    "RFC850": "Monday, 02-Jan-06 15:04:05 MST",
    "RFC1123": "Mon, 02 Jan 2006 15:04:05 MST",
    "RFC1123Z": "Mon, 02 Jan 2006 15:04:05 -0700",
    "RFC3339": RFC3339,
    "RFC3339Nano": RFC3339_NANO,
}
_ELEMENT: Final = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|0[1-6]|002|15|1|2006|2|__2|_2(?!006)|3|4|5|PM|pm"
    r"|[-Z]07(?:0000|:00:00|00|:00)?|[.,]0+(?![0-9])|[.,]9+(?![0-9])"
)
_DIGITS: Final = frozenset("0123456789")
_EARLY_TWO_DIGIT_YEAR: Final = 69


class LayoutError(ValueError):
    """A text does not follow a layout; the message is Go's."""


class _MismatchError(Exception):
    """A value does not begin with what the layout's element asks for."""


class _OutOfRangeError(Exception):
    """A value's element is a number outside its range; the argument says of what."""


class LocalTime(Struct, frozen=True):
    """A point in time on a local clock.

    Attributes:
        second: seconds since 1970-01-01T00:00:00 as the local clock counts them.
        nano: nanoseconds within the second.
        offset_seconds: how far the local clock is ahead of UTC.
        zone: the zone's abbreviation, "" when it has none.
    """

    second: int
    nano: int
    offset_seconds: int
    zone: str

    @property
    def date(self) -> tuple[int, int, int]:
        """Year, month and day."""
        return civil_date(self.second // DAY_SECONDS)

    @property
    def clock(self) -> tuple[int, int, int]:
        """Hour, minute and second."""
        rest = self.second % DAY_SECONDS
        return rest // 3600, rest // 60 % 60, rest % 60

    @property
    def weekday(self) -> str:
        """The English name of the day of the week."""
        return WEEKDAYS[(self.second // DAY_SECONDS + 4) % 7]


def _tokens(layout: str) -> list[tuple[str, str]]:
    """Split a layout into (literal text before, element) pairs; the last element is ""."""
    found = []
    position = 0
    for match in _ELEMENT.finditer(layout):
        found.append((layout[position : match.start()], match.group()))
        position = match.end()
    found.append((layout[position:], ""))
    return found


def format_time(time: LocalTime, layout: str) -> str:
    """Write a time by a layout."""
    year, month, day = time.date
    hour, minute, second = time.clock
    hour12 = hour % 12 or 12
    texts = {
        "": "",
        "January": MONTHS[month - 1],
        "Jan": MONTHS[month - 1][:3],
        "Monday": time.weekday,
        "Mon": time.weekday[:3],
        "MST": time.zone or _offset_text("-0700", time.offset_seconds),
        "1": str(month),
        "01": f"{month:02}",
        "2": str(day),
        "02": f"{day:02}",
        "_2": f"{day:2}",
        "002": f"{days_before(year, month) + day:03}",
        "__2": f"{days_before(year, month) + day:3}",
        "15": f"{hour:02}",
        "3": str(hour12),
        "03": f"{hour12:02}",
        "4": str(minute),
        "04": f"{minute:02}",
        "5": str(second),
        "05": f"{second:02}",
        "2006": f"{year:04}",
        "06": f"{year % 100:02}",
        "PM": "PM" if hour >= 12 else "AM",
        "pm": "pm" if hour >= 12 else "am",
    }
    out = []
    for literal, element in _tokens(layout):
        out.append(literal)
        text = texts.get(element)
        if text is None:
            if element[0] in ".,":
                text = _fraction_text(element, time.nano)
            else:
                text = _offset_text(element, time.offset_seconds)
        out.append(text)
    return "".join(out)


def _fraction_text(element: str, nano: int) -> str:
    digits = f"{nano:09}"[: len(element) - 1]
    if element[1] == "9":
        digits = digits.rstrip("0")
    return element[0] + digits if digits else ""


def _offset_text(element: str, offset_seconds: int) -> str:
    if element[0] == "Z" and offset_seconds == 0:
        return "Z"
    minutes = abs(int(offset_seconds / 60))
    colon = ":" if ":" in element else ""
    # Go takes the sign from whole minutes, so an offset of some seconds is written with a plus.
    text = f"{'-' if int(offset_seconds / 60) < 0 else '+'}{minutes // 60:02}"
    if len(element) > 3:
        text += f"{colon}{minutes % 60:02}"
    if len(element) > 6:
        text += f"{colon}{abs(offset_seconds) % 60:02}"
    return text


class _Reader:
    """Reads one value by one layout; the fields are what has been read so far."""

    def __init__(self, layout: str, value: str) -> None:
        self.layout, self.value, self.rest = layout, value, value
        self.year, self.month, self.day, self.year_day = 0, -1, -1, -1
        self.hour = self.minute = self.second = self.nano = 0
        self.afternoon: bool | None = None
        self.offset_seconds = 0

    def refuse(self, element: str, at: str) -> LayoutError:
        return LayoutError(
            f"parsing time {quote(self.value)} as {quote(self.layout)}: "
            f"cannot parse {quote(at)} as {quote(element)}"
        )

    def out_of_range(self, what: str) -> LayoutError:
        return LayoutError(f"parsing time {quote(self.value)}: {what}")

    def run(self) -> int:
        """Return the nanoseconds since the epoch."""
        tokens = _tokens(self.layout)
        for index, (literal, element) in enumerate(tokens):
            if not self.skip(literal):
                raise self.refuse(literal, self.rest)
            if not element:
                break
            hold = self.rest
            following = tokens[index + 1]
            try:
                self.read(
                    element, fraction_follows=following[0] == "" and following[1][:1] in (".", ",")
                )
            except _MismatchError:
                raise self.refuse(element, hold) from None
            except _OutOfRangeError as exc:
                raise self.out_of_range(f"{exc} out of range") from None
        if self.rest:
            raise self.out_of_range(f"extra text: {quote(self.rest)}")
        return self.finish()

    def skip(self, literal: str) -> bool:
        while literal:
            if literal[0] == " ":
                if self.rest and self.rest[0] != " ":
                    return False
                literal, self.rest = literal.lstrip(" "), self.rest.lstrip(" ")
            elif self.rest[:1] != literal[0]:
                return False
            else:
                literal, self.rest = literal[1:], self.rest[1:]
        return True

    def read(self, element: str, *, fraction_follows: bool) -> None:
        kind = element[0]
        if kind in ".,":
            self.read_fraction(element)
        elif kind in "-Z":
            self.read_offset(element)
        elif element in _READERS:
            _READERS[element](self)
        else:
            self.read_clock(element, fraction_follows=fraction_follows)

    def number(self, *, fixed: bool, most: int = 2) -> int:
        count = 0
        while count < most and self.rest[count : count + 1] in _DIGITS:
            count += 1
        if count == 0 or (fixed and count < most):
            raise _MismatchError
        text, self.rest = self.rest[:count], self.rest[count:]
        return int(text)

    def take(self, count: int) -> str:
        if len(self.rest) < count:
            raise _MismatchError
        text, self.rest = self.rest[:count], self.rest[count:]
        return text

    def name(self, names: tuple[str, ...], length: int | None) -> int:
        for index, full in enumerate(names):
            name = full[:length]
            if self.rest[: len(name)].lower() == name.lower():
                self.rest = self.rest[len(name) :]
                return index
        raise _MismatchError

    def read_two_digit_year(self) -> None:
        year = _integer(self.take(2))
        self.year = year + (1900 if year >= _EARLY_TWO_DIGIT_YEAR else 2000)

    def read_year(self) -> None:
        if self.rest[:1] not in _DIGITS:
            raise _MismatchError
        self.year = _integer(self.take(4))

    def read_month(self, *, fixed: bool) -> None:
        self.month = self.number(fixed=fixed)
        if not 1 <= self.month <= 12:
            raise _OutOfRangeError("month")

    def read_month_name(self, length: int | None) -> None:
        self.month = self.name(MONTHS, length) + 1

    def read_weekday(self, length: int | None) -> None:
        self.name(WEEKDAYS, length)

    def read_day(self, *, fixed: bool, padded: bool = False) -> None:
        if padded:
            self.rest = self.rest.removeprefix(" ")
        self.day = self.number(fixed=fixed)

    def read_year_day(self, *, fixed: bool) -> None:
        if not fixed:
            self.rest = self.rest.removeprefix(" ").removeprefix(" ")
        self.year_day = self.number(fixed=fixed, most=3)

    def read_half(self, morning: str, afternoon: str) -> None:
        text = self.take(2)
        if text not in (morning, afternoon):
            raise _MismatchError
        self.afternoon = text == afternoon

    def read_clock(self, element: str, *, fraction_follows: bool) -> None:
        number = self.number(fixed=element[0] == "0")
        if element in ("15", "3", "03"):
            if number > (23 if element == "15" else 12):
                raise _OutOfRangeError("hour")
            self.hour = number
        elif element in ("4", "04"):
            if number > 59:
                raise _OutOfRangeError("minute")
            self.minute = number
        else:
            if number > 59:
                raise _OutOfRangeError("second")
            self.second = number
            if not fraction_follows:
                self.read_fraction(".9")

    def read_fraction(self, element: str) -> None:
        if element[1] == "0":
            text = self.take(len(element))
            if text[0] not in ".,":
                raise _MismatchError
        else:
            if self.rest[:1] not in (".", ",") or self.rest[1:2] not in _DIGITS:
                return
            count = 1
            while self.rest[count : count + 1] in _DIGITS:
                count += 1
            text = self.take(count)
        if not _DIGITS.issuperset(text[1:10]):
            raise _MismatchError
        self.nano = int(text[1:10].ljust(9, "0"))

    def read_offset(self, element: str) -> None:
        if element[0] == "Z" and self.rest[:1] == "Z":
            self.rest = self.rest[1:]
            return
        text = self.take(len(element))
        if any(text[at] != ":" for at in (3, 6) if element[at : at + 1] == ":"):
            raise _MismatchError
        pairs = [text[1:3], *_pairs(text[3:])]
        if any(not (pair[0] in _DIGITS and pair[1] in _DIGITS) for pair in pairs):
            raise _MismatchError
        hours, minutes, seconds = [*map(int, pairs), 0, 0][:3]
        for value, limit, what in (
            (hours, 24, "hour"),
            (minutes, 60, "minute"),
            (seconds, 60, "second"),
        ):
            if value > limit:
                raise _OutOfRangeError(f"time zone offset {what}")
        if text[0] not in "+-":
            raise _MismatchError
        self.offset_seconds = (hours * 3600 + minutes * 60 + seconds) * (
            -1 if text[0] == "-" else 1
        )

    def read_zone(self) -> None:
        if self.rest.startswith("UTC"):
            self.rest = self.rest[3:]
            return
        length = _zone_length(self.rest)
        if not length:
            raise _MismatchError
        # An abbreviation means nothing outside its zone, so Go takes the time for one in UTC.
        self.rest = self.rest[length:]

    def finish(self) -> int:
        if self.afternoon and self.hour < 12:
            self.hour += 12
        elif self.afternoon is False and self.hour == 12:
            self.hour = 0
        if self.year_day >= 0:
            self.settle_year_day()
        month = self.month if self.month >= 0 else 1
        day = self.day if self.day >= 0 else 1
        if not 1 <= day <= days_in(self.year, month):
            raise self.out_of_range("day out of range")
        seconds = epoch_day(self.year, month, day) * DAY_SECONDS
        seconds += self.hour * 3600 + self.minute * 60 + self.second - self.offset_seconds
        return seconds * NANOS + self.nano

    def settle_year_day(self) -> None:
        if not 1 <= self.year_day <= 365 + is_leap(self.year):
            raise self.out_of_range("day-of-year out of range")
        _, month, day = civil_date(epoch_day(self.year, 1, self.year_day))
        if self.month >= 0 and self.month != month:
            raise self.out_of_range("day-of-year does not match month")
        if self.day >= 0 and self.day != day:
            raise self.out_of_range("day-of-year does not match day")
        self.month, self.day = month, day


_READERS: Final[dict[str, Callable[[_Reader], None]]] = {
    "January": lambda reader: reader.read_month_name(None),
    "Jan": lambda reader: reader.read_month_name(3),
    "Monday": lambda reader: reader.read_weekday(None),
    "Mon": lambda reader: reader.read_weekday(3),
    "MST": _Reader.read_zone,
    "1": lambda reader: reader.read_month(fixed=False),
    "01": lambda reader: reader.read_month(fixed=True),
    "2": lambda reader: reader.read_day(fixed=False),
    "02": lambda reader: reader.read_day(fixed=True),
    "_2": lambda reader: reader.read_day(fixed=False, padded=True),
    "002": lambda reader: reader.read_year_day(fixed=True),
    "__2": lambda reader: reader.read_year_day(fixed=False),
    "2006": _Reader.read_year,
    "06": _Reader.read_two_digit_year,
    "PM": lambda reader: reader.read_half("AM", "PM"),
    "pm": lambda reader: reader.read_half("am", "pm"),
}


def _integer(text: str) -> int:
    """Read a number that may have a sign, as Go's atoi does."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not digits or not _DIGITS.issuperset(digits):
        raise _MismatchError
    return int(text)


def _pairs(text: str) -> list[str]:
    digits = text.replace(":", "")
    return [digits[at : at + 2] for at in range(0, len(digits), 2)]


def _zone_length(text: str) -> int:
    """Return how many characters of a text are a zone's abbreviation, 0 for none."""
    if text.startswith(("ChST", "MeST")):
        return 4
    if text.startswith("GMT"):
        return 3 + _signed_hours_length(text[3:])
    if text[:1] in ("+", "-"):
        return _signed_hours_length(text) if len(text) >= 3 else 0
    upper = 0
    while upper < 6 and "A" <= text[upper : upper + 1] <= "Z":
        upper += 1
    is_zone = (
        upper == 3
        or (upper == 4 and (text[3] == "T" or text.startswith("WITA")))
        or (upper == 5 and text[4] == "T")
    )
    return upper if is_zone else 0


def _signed_hours_length(text: str) -> int:
    match = re.match(r"[-+]([0-9]+)", text)
    return match.end() if match and int(match.group(1)) <= 23 else 0


def parse_time(layout: str, value: str) -> int:
    """Read a time by a layout as nanoseconds since the epoch (of any year, so of any size).

    Raises:
        LayoutError: in Go's words.
    """
    return _Reader(layout, value).run()
