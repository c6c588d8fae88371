import asyncio

from policy_agent.emulator.long_poll import LongPoll


def test_a_waiting_call_gets_the_message():
    async def scenario():
        poll = LongPoll[str]()
        call = asyncio.create_task(poll.wait())
        await asyncio.sleep(0)
        poll.deliver("one")
        return await call, poll.has_mail

    assert asyncio.run(scenario()) == ("one", False)


def test_a_message_sent_early_is_kept_for_the_next_call():
    async def scenario():
        poll = LongPoll[str]()
        poll.deliver("early")
        return poll.has_mail, await poll.wait(), poll.has_mail

    assert asyncio.run(scenario()) == (True, "early", False)


def test_closing_ends_the_waiting_call_and_later_ones():
    async def scenario():
        poll = LongPoll[str]()
        call = asyncio.create_task(poll.wait())
        await asyncio.sleep(0)
        poll.close()
        return await call, await poll.wait()

    assert asyncio.run(scenario()) == (None, None)
