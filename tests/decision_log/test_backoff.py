from __future__ import annotations

import pytest

from policy_agent.decision_log.backoff import Backoff, Moment


def test_the_first_retry_is_immediate_and_later_ones_wait_longer_up_to_the_maximum():
    backoff = Backoff(max_delay_seconds=1)
    for delay_seconds in (0, 0.16, 0.256, 0.4096, 0.65536, 1, 1, 1):
        backoff.failed(Moment(0, 0))
        assert 0.8 * delay_seconds <= backoff.delay_seconds <= 1.2 * delay_seconds


def test_a_million_failures_still_wait_the_maximum():
    backoff = Backoff(max_delay_seconds=600)
    for _ in range(2000):
        backoff.failed(Moment(0, 0))
    assert 480 <= backoff.delay_seconds <= 720


def test_success_starts_over():
    backoff = Backoff(max_delay_seconds=600)
    for _ in range(5):
        backoff.failed(Moment(50, 50))
    assert not backoff.is_due(Moment(50, 50))
    backoff.succeeded()
    assert backoff.is_due(Moment(50, 50))
    backoff.failed(Moment(50, 50))
    assert backoff.delay_seconds == 0


@pytest.mark.parametrize(
    ("now", "due"),
    [
        pytest.param(Moment(1000, 10), False, id="no time has passed"),
        pytest.param(Moment(1002, 12), True, id="both clocks have passed"),
        pytest.param(Moment(1002, 10), True, id="the monotonic clock stood still when frozen"),
        pytest.param(Moment(500, 12), True, id="the wall clock was set back"),
    ],
)
def test_the_wait_is_over_when_either_clock_says_so(now, due):
    backoff = Backoff(max_delay_seconds=1)
    for _ in range(10):
        backoff.failed(Moment(1000, 10))
    assert backoff.is_due(now) is due
