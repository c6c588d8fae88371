import pytest

from policy_agent.lifecycle.flush_control import FlushDecision, Moment, decide

NOW = 1_000_000


@pytest.mark.parametrize(
    ("moment", "deadline_in_ms", "expected"),
    [
        pytest.param(Moment.RUNTIME_DONE, 900_000, FlushDecision(2.0), id="bounded after answer"),
        pytest.param(Moment.RUNTIME_DONE, 600, FlushDecision(0.5), id="margin before deadline"),
        pytest.param(Moment.RUNTIME_DONE, 100, FlushDecision(0), id="no time left"),
        pytest.param(Moment.RUNTIME_DONE, -50, FlushDecision(0), id="deadline passed"),
        pytest.param(Moment.INVOKE, 3000, FlushDecision(2.0), id="without telemetry"),
        pytest.param(Moment.SHUTDOWN, 2000, FlushDecision(1.7, force=True), id="shutdown"),
        pytest.param(Moment.SHUTDOWN, 200, FlushDecision(0, force=True), id="late shutdown"),
    ],
)
def test_shipping_stays_within_what_lambda_allows(moment, deadline_in_ms, expected):
    assert (
        decide(moment, has_backlog=True, now_ms=NOW, deadline_ms=NOW + deadline_in_ms) == expected
    )


@pytest.mark.parametrize("moment", Moment)
def test_nothing_is_shipped_without_a_backlog(moment):
    decision = decide(moment, has_backlog=False, now_ms=NOW, deadline_ms=NOW + 5000)
    assert decision.budget_seconds == 0
