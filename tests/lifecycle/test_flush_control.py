import pytest

from policy_agent.lifecycle.flush_control import (
    MANY_EVENTS,
    FlushDecision,
    Load,
    Moment,
    Pace,
    Plan,
    decide,
)

INVOKE, DONE, SHUTDOWN = Moment.INVOKE, Moment.RUNTIME_DONE, Moment.SHUTDOWN
END = Plan("end")


@pytest.mark.parametrize(
    ("moment", "left_ms", "expected"),
    [
        pytest.param(DONE, 900_000, FlushDecision(2.0), id="bounded after answer"),
        pytest.param(DONE, 600, FlushDecision(0.5), id="margin before deadline"),
        pytest.param(DONE, 100, FlushDecision(0), id="no time left"),
        pytest.param(DONE, -50, FlushDecision(0), id="deadline passed"),
        pytest.param(SHUTDOWN, 2000, FlushDecision(1.7, force=True), id="shutdown"),
        pytest.param(SHUTDOWN, 200, FlushDecision(0, force=True), id="late shutdown"),
    ],
)
def test_shipping_stays_within_what_lambda_allows(moment, left_ms, expected):
    load = Load(backlog_events=1)
    assert decide(moment, END, load, left_ms=left_ms) == expected


def test_beside_the_function_shipping_may_take_until_its_deadline():
    load = Load(backlog_events=1)
    beside = decide(INVOKE, Plan("continuous"), load, left_ms=9_100)
    assert beside == FlushDecision(9.0)


@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize("strategy", ["end", "periodic", "continuous", "adaptive"])
def test_nothing_is_shipped_without_a_backlog(moment, strategy):
    decision = decide(moment, Plan(strategy), Load(), left_ms=5000)
    assert decision.budget_seconds == 0


@pytest.mark.parametrize("strategy", ["end", "periodic", "continuous", "adaptive"])
def test_everything_goes_at_shutdown_whatever_the_strategy(strategy):
    load = Load(backlog_events=1, gap_seconds=0.01, unshipped_seconds=0)
    decision = decide(SHUTDOWN, Plan(strategy), load, left_ms=2000)
    assert decision == FlushDecision(1.7, force=True)


def test_the_last_record_of_a_stream_goes_at_shutdown_though_nothing_else_waits():
    load = Load(has_news=True)
    assert decide(SHUTDOWN, END, load, left_ms=2000).budget_seconds > 0


RARE = [60_000 * n for n in range(6)]  # a call a minute: a scheduled job
BUSY = [100 * n for n in range(300)]  # ten a second for half a minute: an API in use
BURSTS = [*range(0, 2000, 50), *range(120_000, 122_000, 50)]  # two, two minutes apart
ONCE = [0]


def shipped(plan, starts_ms, *, tells_end=True):
    """Return how often a pattern of invocations, each with one decision, ships: beside, after."""
    pace, tried_ms, backlog, counts = Pace(), None, 0, {INVOKE: 0, DONE: 0}
    waiting = []
    for start_ms in starts_ms:
        pace.invoked(start_ms)
        for moment, now_ms in ((INVOKE, start_ms), (DONE, start_ms + 20)):
            backlog += moment is DONE
            if moment is DONE and not tells_end:
                continue
            load = Load(
                backlog_events=backlog,
                gap_seconds=pace.gap_seconds,
                unshipped_seconds=None if tried_ms is None else (now_ms - tried_ms) / 1000,
                tells_end=tells_end,
            )
            if decide(moment, plan, load, left_ms=3000).budget_seconds:
                tried_ms, backlog = now_ms, 0
                counts[moment] += 1
        waiting.append(backlog)
    return counts[INVOKE], counts[DONE], waiting[-1]


@pytest.mark.parametrize(
    ("strategy", "pattern", "expected"),
    [
        # (shipped beside the function, shipped after a response, left waiting at the end)
        pytest.param("end", RARE, (0, 6, 0), id="end, rare"),
        pytest.param("end", BUSY, (0, 300, 0), id="end, busy"),
        pytest.param("periodic", RARE, (0, 6, 0), id="periodic, rare"),
        pytest.param("periodic", BUSY, (0, 3, 99), id="periodic, busy"),
        pytest.param("continuous", RARE, (5, 0, 1), id="continuous, rare"),
        pytest.param("continuous", BUSY, (3, 0, 99), id="continuous, busy"),
        pytest.param("adaptive", ONCE, (0, 1, 0), id="adaptive, once"),
        pytest.param("adaptive", RARE, (0, 6, 0), id="adaptive, rare"),
        pytest.param("adaptive", BUSY, (2, 7, 93), id="adaptive, busy"),
        pytest.param("adaptive", BURSTS, (0, 18, 29), id="adaptive, bursts"),
    ],
)
def test_strategies_over_patterns_of_traffic(strategy, pattern, expected):
    assert shipped(Plan(strategy), pattern) == expected


@pytest.mark.parametrize(
    ("strategy", "pattern", "expected"),
    [
        pytest.param("end", RARE, (5, 0, 1), id="end"),
        pytest.param("adaptive", RARE, (5, 0, 1), id="adaptive, rare"),
        pytest.param("adaptive", BUSY, (8, 0, 94), id="adaptive, busy"),
        pytest.param("periodic", BUSY, (3, 0, 99), id="periodic, busy"),
    ],
)
def test_without_telemetry_the_start_of_the_next_is_the_only_moment(strategy, pattern, expected):
    assert shipped(Plan(strategy), pattern, tells_end=False) == expected


def test_many_entries_do_not_wait_for_the_interval():
    load = Load(backlog_events=MANY_EVENTS, gap_seconds=0.1, unshipped_seconds=0.1)
    decision = decide(INVOKE, Plan(), load, left_ms=3000)
    assert decision.budget_seconds > 0


def test_a_pause_ends_busy_times_at_once():
    pace = Pace()
    for start_ms in (*BUSY, BUSY[-1] + 60_000):
        pace.invoked(start_ms)
    assert pace.gap_seconds > 1


def test_a_clock_that_is_set_back_makes_no_negative_gap():
    pace = Pace()
    for start_ms in range(30_000, 0, -1000):
        pace.invoked(start_ms)
    assert 0 <= pace.gap_seconds < 0.01
