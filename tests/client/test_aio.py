import asyncio

import pytest

from policy_agent.client import AgentUnavailableError, Decision, DeniedError, aio, authorize


def run(coroutine):
    async def main():
        try:
            return await coroutine
        finally:
            await aio.close()

    return asyncio.run(main())


def test_connections_are_kept_and_replaced_when_they_died(agent):
    answers, seen = agent
    answers += [(200, {"result": True})] * 2 + [(200, None), (200, {"result": True})]

    async def ask():
        return [(await aio.decide("a/b", {"n": n})).allow for n in range(3)]

    assert run(ask()) == [True] * 3
    ports = [request.port for request in seen]
    assert ports[0] == ports[1] == ports[2] != ports[3]


def test_calls_at_the_same_time_have_connections_of_their_own(agent):
    answers, seen = agent
    answers += [(200, {"result": True})] * 6

    async def ask():
        for _ in range(2):
            await asyncio.gather(*(aio.decide("a", {}) for _ in range(3)))

    run(ask())
    assert len({request.port for request in seen}) == 3


def test_a_cancelled_call_leaves_its_answer_to_nobody(agent):
    answers, seen = agent
    answers += [(200, {"result": True}), (200, {"result": True}), (200, {"result": False})]

    async def ask():
        await aio.decide("a", {})
        task = asyncio.create_task(aio.decide("a", {}))
        while len(seen) < 2:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return await aio.decide("a", {})

    assert not run(ask()).allow


def test_no_agent_is_no_decision(monkeypatch):
    monkeypatch.setenv("POLICY_AGENT_ADDR", "127.0.0.1:1")
    with pytest.raises(AgentUnavailableError, match=r"127\.0\.0\.1:1 cannot be reached"):
        run(aio.decide("a", {}))


def test_obligations_may_be_fulfilled_by_coroutines(agent):
    answers, seen = agent
    answers.append((204, {}))
    decision = Decision(True, obligations=({"type": "add"}, {"type": "ask"}), decision_id="d")

    async def add(obligation, value):
        return value + 1

    async def act():
        return 1

    assert run(aio.enforce(decision, {"add": add}, act, before={"ask": lambda o: None})) == 2
    assert [each["type"] for each in seen[0].body["obligations"]] == ["ask", "add"]
    with pytest.raises(DeniedError):
        run(aio.enforce(Decision(True, obligations=({"type": "x"},)), {}, act))


def test_a_decorated_coroutine_function_asks_without_blocking(agent):
    answers, seen = agent
    answers += [(200, {"result": True}), (200, {"result": False})]

    @authorize("a", action="read")
    async def read(number):
        return number

    assert run(read(7)) == 7
    with pytest.raises(DeniedError):
        run(read(7))
    assert seen[0].body == {"input": {"action": "read"}}
