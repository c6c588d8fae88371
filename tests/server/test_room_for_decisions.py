"""A decision for which the log has no room waits for it, where it may."""

import pytest

from policy_agent.errors import SpoolFullError

ASK = {"json": {"input": {"user": "bob"}}}


def full(harness, *, times):
    """Let the log refuse so often before there is room."""
    refusals = iter([SpoolFullError("decision log spool is full")] * times)

    async def make_room():
        harness.record_error = next(refusals, None)
        return True

    harness.record_error = next(refusals)
    harness.decisions._make_room = make_room


@pytest.fixture(autouse=True)
def no_room_maker(harness):
    yield
    harness.decisions._make_room = None


def test_a_decision_waits_for_room_and_is_answered(client, harness):
    full(harness, times=1)
    answer = client.post("/v1/data/orders/allow", **ASK)
    assert (answer.status_code, answer.json()["result"]) == (200, True)
    assert len(harness.recorded) == 1


def test_so_it_does_in_the_older_api(client, harness):
    full(harness, times=1)
    answer = client.post("/v0/data/orders/allow", json={"user": "bob"})
    assert (answer.status_code, answer.json()) == (200, True)


def test_it_waits_but_once(client, harness):
    full(harness, times=3)
    answer = client.post("/v1/data/orders/allow", **ASK)
    assert answer.status_code == 500
    assert "spool is full" in answer.text
    assert harness.recorded == []


def test_where_nothing_may_wait_it_is_refused(client, harness):
    harness.record_error = SpoolFullError("decision log spool is full")
    answer = client.post("/v1/data/orders/allow", **ASK)
    assert answer.status_code == 500
    assert harness.recorded == []
