"""When a bundle is due: OPA's delays, measured by whichever clock ran on."""

from dataclasses import dataclass

import pytest

from policy_agent.bundle.schedule import Clock, Schedule, backoff_seconds
from policy_agent.config import Delays


@dataclass
class Times:
    """Two clocks that a test moves; draws are at `fraction` of their range."""

    wall: float = 1000.0
    monotonic: float = 50.0
    fraction: float = 0.5

    def clock(self) -> Clock:
        return Clock(
            lambda: self.wall,
            lambda: self.monotonic,
            lambda low, high: low + (high - low) * self.fraction,
        )


SCHEDULE = Schedule(Delays(60, 120))


def test_a_bundle_never_asked_for_is_due():
    assert SCHEDULE.seconds_until_due(Times().clock()) == 0


@pytest.mark.parametrize(
    ("wall", "monotonic", "waiting"),
    [
        pytest.param(0, 0, 90, id="at once"),
        pytest.param(30, 30, 60, id="both clocks ran"),
        pytest.param(200, 1, 0, id="frozen: only the wall clock ran"),
        pytest.param(-500, 40, 50, id="wall clock set back"),
        pytest.param(-500, 90, 0, id="due although the wall clock was set back"),
    ],
)
def test_age_is_the_larger_of_two_clocks(wall, monotonic, waiting):
    times = Times()
    schedule = SCHEDULE.after_success(times.clock())
    times.wall += wall
    times.monotonic += monotonic
    assert schedule.seconds_until_due(times.clock()) == pytest.approx(waiting)


@pytest.mark.parametrize(("fraction", "delay"), [(0, 60), (0.25, 75), (1, 120)])
def test_success_is_followed_by_a_uniform_draw(fraction, delay):
    assert SCHEDULE.after_success(Times(fraction=fraction).clock()).delay_seconds == delay


def test_failures_back_off_from_an_immediate_retry_to_the_longest_delay():
    schedule, delays = SCHEDULE, []
    for _ in range(18):
        schedule = schedule.after_failure(Times().clock())
        delays.append(schedule.delay_seconds)
    assert delays[:4] == pytest.approx([0, 0.16, 0.256, 0.4096])
    assert delays[-1] == 120
    assert schedule.after_success(Times().clock()).failures == 0


@pytest.mark.parametrize(("fraction", "factor"), [(0, 0.8), (1, 1.2)])
def test_backoff_jitters_by_a_fifth(fraction, factor):
    clock = Times(fraction=fraction).clock()
    schedule = SCHEDULE.after_failure(clock).after_failure(clock)
    assert schedule.delay_seconds == pytest.approx(0.16 * factor)


def test_backoff_is_capped_below_its_own_base():
    assert backoff_seconds(3, 0.05) == 0.05
