"""How old bundles are, and which must not decide for their age (`max_age_seconds`, `exp`).

Pure but for the clock it is handed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from policy_agent.bundle.claims import shown_time
from policy_agent.bundle.schedule import Clock
from policy_agent.bundle.slot import Slot
from policy_agent.config import Freshness


def age_seconds(slot: Slot, clock: Clock) -> float | None:
    """Return how long ago the source confirmed the active version, None when it never did."""
    confirmed = slot.remote.confirmed if slot.remote else None
    return None if confirmed is None else confirmed.age_seconds(clock)


def stale(slots: Iterable[Slot], clock: Clock) -> Iterator[tuple[Slot, Freshness]]:
    """Yield the bundles for whose newer version a decision has to wait."""
    for slot in slots:
        freshness = slot.source.freshness
        if freshness is None or freshness.on_stale == "serve" or slot.active is None:
            continue
        age = age_seconds(slot, clock)
        if age is None or age > freshness.max_age_seconds:
            yield slot, freshness


def expired(slots: Iterable[Slot], clock: Clock) -> Iterator[str]:
    """Yield a sentence on each bundle whose signature holds no longer."""
    for slot in slots:
        expires_at = slot.active.expires_at if slot.active else None
        if expires_at is not None and clock.wall() >= expires_at:
            yield f"bundle {slot.source.name}: its signature expired at {shown_time(expires_at)}"


def refusal(slot: Slot, freshness: Freshness, clock: Clock) -> str:
    """Return the sentence on a bundle that is too old to decide."""
    seconds = age_seconds(slot, clock)
    age = "of unknown age" if seconds is None else f"{seconds:.0f} s old"
    reason = f" ({slot.status.message})" if slot.status.message else ""
    limit = f"max_age_seconds is {freshness.max_age_seconds:g}"
    return f"bundle {slot.source.name} is {age}, {limit}{reason}"
