"""OPA's `time` built-ins.

Source: OPA v1.22 v1/topdown/time.go.
"""

from __future__ import annotations

import time as clock
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from policy_agent.rego.builtins.civil import DAY_SECONDS, NANOS, days_in, epoch_day
from policy_agent.rego.builtins.go_duration import DurationError, parse_extended_duration
from policy_agent.rego.builtins.go_layout import (
    NAMED_LAYOUTS,
    RFC3339,
    RFC3339_NANO,
    LayoutError,
    LocalTime,
    format_time,
    parse_time,
)
from policy_agent.rego.builtins.nondeterminism import record
from policy_agent.rego.builtins.operands import need_int, need_string
from policy_agent.rego.builtins.registry import Builtin, BuiltinError, operand_type_error
from policy_agent.rego.context import Context
from policy_agent.rego.values import Value, rank

_NUMBER_RANK: Final = rank(0)
_EITHER: Final = "either number (ns) or [number (ns), string (tz)]"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _now_ns(context: Context) -> Value:
    return record(context, "time.now_ns", [], context.now_ns)


def _safe(nanos: int) -> int:
    if not -(2**63) <= nanos < 2**63:
        raise BuiltinError("time outside of valid range")
    return nanos


def _parse_ns(layout: Value, text: Value) -> Value:
    name = need_string(layout, 1)
    return _read(NAMED_LAYOUTS.get(name, name), need_string(text, 2))


def _parse_rfc3339_ns(text: Value) -> Value:
    return _read(RFC3339, need_string(text, 1))


def _read(layout: str, text: str) -> int:
    try:
        return _safe(parse_time(layout, text))
    except LayoutError as exc:
        raise BuiltinError(str(exc)) from exc


def _parse_duration_ns(text: Value) -> Value:
    try:
        return parse_extended_duration(need_string(text, 1))
    except DurationError as exc:
        raise BuiltinError(str(exc)) from exc


class _Zone:
    """A place's clock: what to add to UTC at a time, and what the place calls it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._rules = None if name in ("UTC", "Local") else _load(name)

    def at(self, second: int) -> tuple[int, str]:
        """Return offset in seconds and abbreviation at a second since the epoch."""
        if self.name == "UTC":
            return 0, "UTC"
        if self._rules is None:
            local = clock.localtime(second)
            return local.tm_gmtoff, local.tm_zone
        local_time = (_EPOCH + timedelta(seconds=second)).astimezone(self._rules)
        offset = local_time.utcoffset() or timedelta()
        return offset.days * DAY_SECONDS + offset.seconds, local_time.tzname() or ""

    def to_utc(self, local_second: int) -> int:
        """Return the second since the epoch at which the place's clock shows a time, as Go does."""
        guess, _ = self.at(local_second)
        return local_second - self.at(local_second - guess)[0] if guess else local_second


def _load(name: str) -> ZoneInfo:
    if ".." in name or name[0] in "/\\":
        raise BuiltinError("time: invalid location name")
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as exc:
        raise BuiltinError(f"unknown time zone {name}") from exc


@lru_cache(maxsize=64)
def _zone(name: str) -> _Zone:
    return _Zone(name or "UTC")


class _Moment:
    """A time with its place and the layout that came with it, as the operand says."""

    def __init__(self, operand: Value) -> None:
        parts = operand if type(operand) is list else [operand]
        if not parts or (type(operand) is not list and rank(operand) != _NUMBER_RANK):
            raise operand_type_error(1, operand, _EITHER)
        nanos = parts[0]
        if rank(nanos) != _NUMBER_RANK:
            raise operand_type_error(1, nanos, "number")
        self.zone = _zone(need_string(parts[1], 1)) if len(parts) > 1 else _zone("UTC")
        self.layout = need_string(parts[2], 1) if len(parts) > 2 else ""
        if not -(2**63) <= nanos < 2**63 or nanos != int(nanos):
            raise BuiltinError("timestamp too big")
        self.nanos = int(nanos)

    def local(self, zone: _Zone | None = None) -> LocalTime:
        second, nano = divmod(self.nanos, NANOS)
        offset, name = (zone or self.zone).at(second)
        return LocalTime(second + offset, nano, offset, name)


def _format(operand: Value) -> Value:
    moment = _Moment(operand)
    layout = moment.layout or RFC3339_NANO
    return format_time(moment.local(), NAMED_LAYOUTS.get(layout, layout))


def _date(operand: Value) -> Value:
    return list(_Moment(operand).local().date)


def _clock(operand: Value) -> Value:
    return list(_Moment(operand).local().clock)


def _weekday(operand: Value) -> Value:
    return _Moment(operand).local().weekday


def _add_date(operand: Value, years: Value, months: Value, days: Value) -> Value:
    moment = _Moment(operand)
    added = need_int(years, 2), need_int(months, 3), need_int(days, 4)
    local = moment.local()
    year, month, day = local.date
    new_day = epoch_day(year + added[0], month + added[1], day + added[2])
    second = new_day * DAY_SECONDS + local.second % DAY_SECONDS
    # A zone's rules are known for the years that nanoseconds reach; others are refused below.
    if abs(second) < 2**63 // NANOS + DAY_SECONDS:
        second = moment.zone.to_utc(second)
    return _safe(second * NANOS + local.nano)


def _diff(one: Value, two: Value) -> Value:
    first, second = _Moment(one), _Moment(two)
    zone = first.zone
    if first.nanos > second.nanos:
        first, second = second, first
    start, end = first.local(zone), second.local(zone)
    year, month, day = (late - early for early, late in zip(start.date, end.date, strict=True))
    hours, minutes, seconds = (
        late - early for early, late in zip(start.clock, end.clock, strict=True)
    )
    carry, seconds = divmod(seconds, 60)
    carry, minutes = divmod(minutes + carry, 60)
    carry, hours = divmod(hours + carry, 24)
    day += carry
    if day < 0:
        day += days_in(*start.date[:2])
        month -= 1
    carry, month = divmod(month, 12)
    return [year + carry, month, day, hours, minutes, seconds]


BUILTINS: Final = {
    builtin.name: builtin
    for builtin in (
        Builtin("time.now_ns", _now_ns, deterministic=False, needs_context=True),
        Builtin("time.parse_ns", _parse_ns),
        Builtin("time.parse_rfc3339_ns", _parse_rfc3339_ns),
        Builtin("time.parse_duration_ns", _parse_duration_ns),
        Builtin("time.format", _format),
        Builtin("time.date", _date),
        Builtin("time.clock", _clock),
        Builtin("time.weekday", _weekday),
        Builtin("time.add_date", _add_date),
        Builtin("time.diff", _diff),
    )
}
