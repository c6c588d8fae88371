"""How long to wait between two runs of something that repeats."""

from __future__ import annotations

from msgspec import Struct

from policy_agent.config.section import Section


class Delays(Struct, frozen=True):
    """Seconds between two runs: a uniform draw from [min, max] (OPA's polling and reporting)."""

    min_seconds: float
    max_seconds: float


def read_delays(section: Section, default: Delays) -> Delays:
    """Read `min_delay_seconds` and `max_delay_seconds`, which go together."""
    if section.has("min_delay_seconds") != section.has("max_delay_seconds"):
        section.problem("min_delay_seconds", "goes together with max_delay_seconds")
    low = section.number("min_delay_seconds", default.min_seconds)
    high = section.number("max_delay_seconds", default.max_seconds)
    if high < low:
        section.problem("max_delay_seconds", "must not be less than min_delay_seconds")
    return Delays(low, high)
