"""Durations as Go prints them.

Pure.
"""

from __future__ import annotations


def go_duration(duration_ns: int) -> str:
    """Return a duration below an hour: `0s`, `1.5µs`, `12.345678ms`, `1m0.5s`."""
    if duration_ns == 0:
        return "0s"
    for unit, unit_ns in (("ns", 1), ("µs", 1_000), ("ms", 1_000_000)):
        if duration_ns < unit_ns * 1_000:
            return _decimal(duration_ns, unit_ns) + unit
    minutes, rest_ns = divmod(duration_ns, 60_000_000_000)
    seconds = _decimal(rest_ns, 1_000_000_000) + "s"
    return f"{minutes}m{seconds}" if minutes else seconds


def _decimal(value_ns: int, unit_ns: int) -> str:
    whole, rest = divmod(value_ns, unit_ns)
    digits = f"{rest:0{len(str(unit_ns)) - 1}}".rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)
