"""Say what is unusual about recent decisions, measured against what came before.

Pure. Most spans of a few minutes hold no or one denial, so normal deviations (z-scores) cry wolf;
counts are judged as counts: by the tail of a binomial distribution for denials, of a Poisson
distribution for silence.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

# So unlikely that a fleet of hundreds of functions, looked at every few minutes, stays quiet.
UNLIKELY: Final = 1e-6
# What is assumed of somebody of whom little is known: as if 2 of 40 had been denied.
_PRIOR_DENIALS: Final = 2
_PRIOR_DECISIONS: Final = 40
_NEGLIGIBLE: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Tally:
    """What one subject was decided by one function in some time; None where entries have none."""

    function: str | None
    subject: str | None
    decisions: int
    denials: int


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One thing to look at.

    Attributes:
        kind: `denials`, `silence` or `new-subject`.
        of: `function` or `subject`.
        name: which one.
        observed: how many lately: denials, or decisions where there is silence.
        out_of: of how many decisions.
        expected: how many there should have been.
        probability: of so many or more (fewer, for silence) if nothing had changed; 0 where
            somebody is new.
    """

    kind: str
    of: str
    name: str
    observed: int
    out_of: int
    expected: float
    probability: float


def find_anomalies(
    baseline: Iterable[Tally], recent: Iterable[Tally], *, share: float
) -> list[Anomaly]:
    """Return what is unusual, the least likely first.

    Args:
        baseline: what came before, over a longer time.
        share: the recent time as a share of the baseline's.
    """
    before, lately = list(baseline), list(recent)
    found = [
        *_denials("function", before, lately, lambda tally: tally.function),
        *_denials("subject", before, lately, lambda tally: tally.subject),
        *_silence(before, lately, share),
        *_new_subjects(before, lately),
    ]
    return sorted(found, key=lambda anomaly: (anomaly.probability, anomaly.kind, anomaly.name))


def binomial_tail(successes: int, trials: int, probability: float) -> float:
    """Return how likely so many successes or more are."""
    if successes <= trials * probability:
        return 1.0
    logs = math.log(probability), math.log1p(-probability)
    term = math.exp(
        math.lgamma(trials + 1)
        - math.lgamma(successes + 1)
        - math.lgamma(trials - successes + 1)
        + successes * logs[0]
        + (trials - successes) * logs[1]
    )
    total, odds = 0.0, probability / (1 - probability)
    for count in range(successes, trials + 1):
        total += term
        term *= (trials - count) / (count + 1) * odds
        if term < total * _NEGLIGIBLE:
            break
    return min(total, 1.0)


def poisson_head(events: int, expected: float) -> float:
    """Return how likely so few events or fewer are."""
    if events >= expected:
        return 1.0
    term = math.exp(events * math.log(expected) - expected - math.lgamma(events + 1))
    total = 0.0
    for count in range(events, -1, -1):
        total += term
        term *= count / expected
        if term < total * _NEGLIGIBLE:
            break
    return min(total, 1.0)


Name = Callable[[Tally], str | None]


def _sums(tallies: Iterable[Tally], name: Name) -> dict[str, tuple[int, int]]:
    decisions: dict[str, int] = defaultdict(int)
    denials: dict[str, int] = defaultdict(int)
    for tally in tallies:
        if (key := name(tally)) is not None:
            decisions[key] += tally.decisions
            denials[key] += tally.denials
    return {key: (decisions[key], denials[key]) for key in decisions}


def _denials(of: str, before: list[Tally], lately: list[Tally], name: Name) -> Iterator[Anomaly]:
    known = _sums(before, name)
    for key, (decisions, denials) in _sums(lately, name).items():
        decided, denied = known.get(key, (0, 0))
        rate = (denied + _PRIOR_DENIALS) / (decided + _PRIOR_DECISIONS)
        probability = binomial_tail(denials, decisions, rate)
        if probability < UNLIKELY:
            yield Anomaly(
                "denials", of, key, denials, decisions, round(decisions * rate, 1), probability
            )


def _silence(before: list[Tally], lately: list[Tally], share: float) -> Iterator[Anomaly]:
    counted = _sums(lately, lambda tally: tally.function)
    for key, (decided, _) in _sums(before, lambda tally: tally.function).items():
        decisions, _ = counted.get(key, (0, 0))
        expected = decided * share
        probability = poisson_head(decisions, expected)
        if probability < UNLIKELY:
            yield Anomaly(
                "silence", "function", key, decisions, decisions, round(expected, 1), probability
            )


def _new_subjects(before: list[Tally], lately: list[Tally]) -> Iterator[Anomaly]:
    """Yield the subjects that nobody has seen before and that were denied something."""
    known = _sums(before, lambda tally: tally.subject)
    if not known:
        return
    for key, (decisions, denials) in _sums(lately, lambda tally: tally.subject).items():
        if key not in known and denials:
            yield Anomaly("new-subject", "subject", key, denials, decisions, 0, 0.0)
