import pytest

from policy_agent.lifecycle.deadline import Deadlines

WALL = 1_795_804_000_000.0


def left(deadlines, left_ms, *, is_shutdown=False):
    """Return how long an event may take that Lambda gives so long, by a clock that may be wrong."""
    until = deadlines.of(WALL + left_ms, wall_ms=WALL, monotonic_ms=5000.0, is_shutdown=is_shutdown)
    return until - 5000


@pytest.mark.parametrize("left_ms", [1, 3000, 900_000])
def test_a_deadline_that_can_be_true_is_believed(left_ms):
    assert left(Deadlines(), left_ms) == left_ms


@pytest.mark.parametrize("left_ms", [-7_197_000, -2000, 0, 900_001, 7_203_000])
def test_one_that_cannot_is_taken_to_be_as_far_away_as_the_last(left_ms):
    deadlines = Deadlines()
    left(deadlines, 29_000)
    assert left(deadlines, left_ms) == 29_000


def test_before_anything_is_known_it_is_the_default_timeout():
    assert left(Deadlines(), -1) == 3000


@pytest.mark.parametrize(
    ("left_ms", "expected"), [(1500, 1500), (2000, 2000), (7_202_000, 2000), (-5, 2000)]
)
def test_shutdown_takes_two_seconds_at_most(left_ms, expected):
    assert left(Deadlines(), left_ms, is_shutdown=True) == expected
