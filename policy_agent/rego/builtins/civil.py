"""The proleptic Gregorian calendar as arithmetic, for any year.

Pure. Python's datetime knows the years 1 to 9999 only, Go's layouts write and read others too.
"""

from __future__ import annotations

from typing import Final

DAY_SECONDS: Final = 86_400
NANOS: Final = 1_000_000_000
_MONTH_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def is_leap(year: int) -> bool:
    """Return whether a year has a 29 February."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def days_in(year: int, month: int) -> int:
    """Return the number of days of a month."""
    return 29 if month == 2 and is_leap(year) else _MONTH_DAYS[month - 1]


def days_before(year: int, month: int) -> int:
    """Return the number of days of a year before a month."""
    return sum(days_in(year, earlier) for earlier in range(1, month))


def epoch_day(year: int, month: int, day: int) -> int:
    """Return the days since 1970-01-01; a month or day out of range counts on, as in Go."""
    year += (month - 1) // 12
    month = (month - 1) % 12 + 1
    before = year - 1
    whole_years = before * 365 + before // 4 - before // 100 + before // 400
    return whole_years + days_before(year, month) + day - 719_163


def civil_date(day: int) -> tuple[int, int, int]:
    """Return year, month and day of the month of a day since 1970-01-01."""
    # Eras of 400 years that begin on 1 March, so that a leap day ends its year.
    era, day_of_era = divmod(day + 719_468, 146_097)
    year_of_era = (
        day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096
    ) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * day_of_year + 2) // 153
    month = shifted_month + 3 if shifted_month < 10 else shifted_month - 9
    year = year_of_era + era * 400 + (month <= 2)
    return year, month, day_of_year - (153 * shifted_month + 2) // 5 + 1
