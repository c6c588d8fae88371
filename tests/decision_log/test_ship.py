from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from datetime import UTC, datetime, timedelta

import pytest

from policy_agent.config import Service
from policy_agent.decision_log.counters import Counters
from policy_agent.decision_log.record import frame
from policy_agent.decision_log.ship import MOST_REFUSED_STUBS, Shipper
from policy_agent.decision_log.sinks.http import HttpSink
from policy_agent.decision_log.spool import Spool
from policy_agent.service import ServiceClient

NUMBERS = random.Random(7)
BUDGET = 10
POISON = 5


def numbered(number, size_bytes=300):
    return json.dumps({"n": number, "input": NUMBERS.randbytes(size_bytes // 2).hex()}).encode()


def has(number):
    """Tell whether events hold one in full, not as a stub."""
    return lambda events: any(event.get("n") == number for event in events)


class Shipping:
    """A spool, a shipper and its counters over one folder."""

    def __init__(self, folder, url, **settings):
        limit_bytes = settings.pop("limit_bytes", 2000)
        client = ServiceClient(Service("r", url, response_timeout_seconds=5))
        self.counters = Counters()
        self.spool = Spool(folder, counters=self.counters)
        self.shipper = Shipper(
            self.spool, HttpSink(client, "/logs"), limit_bytes, counters=self.counters, **settings
        )

    def append(self, *numbers, size_bytes=300):
        for number in numbers:
            self.spool.append(numbered(number, size_bytes))

    def flush(self, budget_seconds=BUDGET, **how):
        return asyncio.run(self.shipper.flush(budget_seconds, **how))


@pytest.fixture
def start(tmp_path, receiver):
    with contextlib.ExitStack() as stack:

        def begin(**settings):
            shipping = Shipping(tmp_path, settings.pop("url", receiver.url), **settings)
            stack.callback(shipping.spool.close)
            return shipping

        yield begin


def aside(folder, suffix=".rejected"):
    return [
        json.loads(line[9:])["n"]
        for path in sorted(folder.glob(f"*{suffix}"))
        for line in path.read_bytes().splitlines()
    ]


def test_everything_is_shipped_once_in_order_within_the_size_limit(start, receiver, tmp_path):
    shipping = start()
    shipping.append(*range(200))
    report = shipping.flush()
    assert (report.shipped, report.left, report.error) == (200, 0, None)
    assert receiver.numbers == list(range(200))
    assert len(receiver.uploads) > 10
    assert max(len(upload.body) for upload in receiver.uploads) <= 2000
    assert receiver.most_in_flight == 1
    assert list(tmp_path.iterdir()) == []


def test_an_empty_spool_sends_nothing(start, receiver):
    report = start().flush()
    assert (report.shipped, report.left, report.error) == (0, 0, None)
    assert receiver.uploads == []


@pytest.mark.parametrize("status", [500, 502, 503, 429, 401, 403, 404, 301])
def test_a_failing_receiver_stops_the_flush_and_keeps_everything(start, receiver, status):
    receiver.answer = lambda events, body: status
    shipping = start()
    shipping.append(*range(50))
    report = shipping.flush()
    assert (report.shipped, report.left) == (0, 50)
    assert report.error.http_code == status
    assert len(receiver.uploads) == 1
    receiver.answer = lambda events, body: 200
    assert shipping.flush().left == 0
    assert receiver.numbers == list(range(50))
    assert shipping.counters.upload_failures == 1


def test_what_was_accepted_before_a_failure_is_not_sent_again_by_a_successor(start, receiver):
    receiver.answer = lambda events, body: 500 if has(30)(events) else 200
    first = start()
    first.append(*range(50))
    report = first.flush()
    assert 0 < report.shipped < 31
    assert report.shipped + report.left == 50
    first.spool.close()
    receiver.answer = lambda events, body: 200
    second = start()
    assert second.spool.backlog_events == report.left
    second.flush()
    assert receiver.numbers == list(range(50))


@pytest.mark.parametrize("answer", ["hang", "cut"])
def test_a_receiver_without_an_answer_costs_no_more_than_the_budget(start, receiver, answer):
    receiver.answer = lambda events, body: answer
    shipping = start()
    shipping.append(1)
    started = time.monotonic()
    report = shipping.flush(0.2)
    assert time.monotonic() - started < 2
    assert (report.shipped, report.left) == (0, 1)
    assert report.error.http_code is None
    assert str(report.error).startswith("log upload failed: ")


def test_a_refused_connection_keeps_everything(start):
    shipping = start(url="http://127.0.0.1:1")
    shipping.append(1)
    report = shipping.flush()
    assert report.left == 1
    assert "connection refused" in str(report.error)


def test_a_spent_budget_sends_nothing_and_blames_nobody(start, receiver):
    shipping = start()
    shipping.append(1)
    report = shipping.flush(0)
    assert (report.shipped, report.left, report.error) == (0, 1, None)
    assert receiver.uploads == []
    assert shipping.flush().shipped == 1


def test_a_dead_receiver_is_not_hammered_but_a_forced_flush_tries(start, receiver):
    receiver.answer = lambda events, body: 500
    shipping = start(max_delay_seconds=3600)
    shipping.append(1)
    for _ in range(20):
        shipping.flush(force=True)
    assert len(receiver.uploads) == 20
    report = shipping.flush()
    assert len(receiver.uploads) == 20
    assert (report.left, report.error.http_code) == (1, 500)
    receiver.answer = lambda events, body: 200
    assert shipping.flush(force=True).shipped == 1
    shipping.append(2)
    assert shipping.flush().shipped == 1


def test_an_acceptance_starts_the_back_off_over(start, receiver):
    receiver.answer = lambda events, body: 500
    shipping = start(max_delay_seconds=3600)
    shipping.append(*range(50))
    for _ in range(20):
        shipping.flush(force=True)
    receiver.answer = lambda events, body: 500 if has(40)(events) else 200
    assert shipping.flush(force=True).error is not None
    receiver.answer = lambda events, body: 200
    assert shipping.flush().left == 0


def test_a_flush_takes_over_what_a_neighbour_left_when_it_died(start, receiver, tmp_path):
    shipping = start()
    (tmp_path / "1-1-aa.log").write_bytes(frame(numbered(1)))
    assert shipping.flush().shipped == 1
    assert receiver.numbers == [1]


def test_a_cancelled_flush_loses_nothing_and_moves_nothing(start, receiver):
    receiver.answer = lambda events, body: "hang" if has(40)(events) else 200
    shipping = start()
    shipping.append(*range(60))

    async def cancel_in_flight():
        task = asyncio.create_task(shipping.shipper.flush(BUDGET))
        while not any(has(40)(upload.events) for upload in receiver.uploads):
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(cancel_in_flight(), BUDGET))
    receiver.answer = lambda events, body: 200
    assert shipping.flush().left == 0
    assert receiver.numbers == list(range(60))


def test_a_second_flush_steps_aside_and_a_forced_one_waits_its_turn(start, receiver):
    receiver.answer = lambda events, body: "hang"
    shipping = start()
    shipping.append(1, 2)

    async def two_at_once():
        first = asyncio.create_task(shipping.shipper.flush(BUDGET))
        while not receiver.arrived.is_set():
            await asyncio.sleep(0.005)
        second = await shipping.shipper.flush(BUDGET)
        impatient = await shipping.shipper.flush(0.02, force=True)
        receiver.answer = lambda events, body: 200
        third = asyncio.create_task(shipping.shipper.flush(BUDGET, force=True))
        receiver.released.set()
        return await first, second, impatient, await third

    first, second, impatient, third = asyncio.run(asyncio.wait_for(two_at_once(), BUDGET))
    assert [report.shipped for report in (first, second, impatient, third)] == [0, 0, 0, 2]
    assert (second.left, second.error, impatient.error) == (2, None, None)
    assert receiver.numbers == [1, 2]
    assert receiver.most_in_flight == 1


def keys_of(receiver):
    return [upload.headers["Idempotency-Key"] for upload in receiver.uploads]


def test_a_batch_in_doubt_is_sent_again_as_it_was_though_there_is_more_by_then(start, receiver):
    receiver.answer = lambda events, body: "cut"
    first = start(limit_bytes=32768)
    first.append(1, 2)
    assert first.flush().left == 2
    first.append(3)
    first.spool.close()
    receiver.answer = lambda events, body: 200
    second = start(limit_bytes=32768)
    assert second.flush().left == 0
    cut, again, rest = receiver.uploads
    assert (cut.body, keys_of(receiver)[0]) == (again.body, keys_of(receiver)[1])
    assert [event["n"] for event in rest.events] == [3]
    assert len(set(keys_of(receiver))) == 2
    assert second.counters.retried == 2


def test_what_ships_long_after_it_was_recorded_counts_as_late(start, receiver):
    shipping = start()
    now = datetime.now(UTC)
    for age_seconds in (0, 3600):
        timestamp = (now - timedelta(seconds=age_seconds)).isoformat()
        shipping.spool.append(json.dumps({"timestamp": timestamp}).encode())
        shipping.flush()
    assert shipping.counters.late == 1


def test_a_batch_too_large_for_the_receiver_is_halved_until_it_fits(start, receiver, tmp_path):
    receiver.answer = lambda events, body: 413 if len(body) > 700 else 200
    shipping = start(limit_bytes=32768)
    shipping.append(*range(100))
    report = shipping.flush()
    assert (report.shipped, report.left, report.error) == (100, 0, None)
    assert receiver.numbers == list(range(100))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [413, 400, 422])
def test_a_poison_event_is_set_aside_with_a_stub_and_blocks_nothing(
    start, receiver, tmp_path, status
):
    receiver.answer = lambda events, body: status if has(POISON)(events) else 200
    shipping = start(limit_bytes=32768)
    shipping.append(*range(40))
    report = shipping.flush()
    assert (report.shipped, report.left, report.error) == (40, 0, None)
    stubs = [event for event in receiver.accepted if "custom" in event]
    assert stubs == [
        {"erased": ["/input", "/result"], "custom": {"refused_http_code": status}},
    ]
    whole = [event["n"] for event in receiver.accepted if "n" in event]
    assert whole == [number for number in range(40) if number != POISON]
    assert aside(tmp_path) == [POISON]
    assert shipping.counters.rejected_set_aside == 1
    assert len(receiver.uploads) < 20


def test_rejected_events_ship_again_once_renamed(start, receiver, tmp_path):
    receiver.answer = lambda events, body: 400 if has(POISON)(events) else 200
    shipping = start()
    shipping.append(POISON)
    shipping.flush()
    (rejected,) = tmp_path.glob("*.rejected")
    rejected.rename(rejected.with_suffix(".again.log"))
    receiver.answer = lambda events, body: 200
    assert shipping.flush().shipped == 1
    assert receiver.accepted[-1]["n"] == POISON


def test_a_receiver_that_fails_at_the_stub_does_not_cost_the_event(start, receiver, tmp_path):
    receiver.answer = lambda events, body: 400 if has(POISON)(events) else 503
    shipping = start()
    shipping.append(POISON)
    report = shipping.flush()
    assert (report.left, report.error.http_code) == (1, 503)
    assert aside(tmp_path) == []
    receiver.answer = lambda events, body: 200
    assert shipping.flush(force=True).shipped == 1
    assert receiver.numbers == [POISON]


def test_a_poison_event_is_passed_even_when_each_flush_has_time_for_two_requests(
    start, receiver, tmp_path
):
    before = 0

    def answer(events, body):
        if len(receiver.uploads) - before >= 2:
            return 503
        return 400 if has(POISON)(events) else 200

    receiver.answer = answer
    shipping = start(limit_bytes=32768)
    shipping.append(*range(40))
    for _ in range(30):
        before = len(receiver.uploads)
        shipping.flush(force=True)
    assert shipping.spool.backlog_events == 0
    assert aside(tmp_path) == [POISON]


def test_a_receiver_that_refuses_even_stubs_does_not_get_the_whole_log_set_aside(
    start, receiver, tmp_path
):
    receiver.answer = lambda events, body: 400
    shipping = start()
    shipping.append(*range(30))
    report = shipping.flush()
    assert report.left == 30 - MOST_REFUSED_STUBS
    assert report.error.http_code == 400
    assert aside(tmp_path) == list(range(MOST_REFUSED_STUBS))
    receiver.answer = lambda events, body: 200
    shipping.flush(force=True)
    assert receiver.numbers == list(range(MOST_REFUSED_STUBS, 30))


def test_events_refused_in_any_form_among_good_ones_are_all_passed(start, receiver, tmp_path):
    receiver.answer = lambda events, body: 200 if all(e.get("n", 0) % 5 for e in events) else 400
    shipping = start()
    shipping.append(*range(50))
    assert shipping.flush().left == 0
    assert aside(tmp_path) == list(range(0, 50, 5))
    assert len(receiver.numbers) == 40


def test_a_few_events_refused_in_any_form_do_not_block_the_rest(start, receiver, tmp_path):
    receiver.answer = lambda events, body: 200 if all(e.get("n", 0) > 1 for e in events) else 400
    shipping = start()
    shipping.append(*range(30))
    assert shipping.flush().left == 0
    assert receiver.numbers == list(range(2, 30))
    assert aside(tmp_path) == [0, 1]


def test_an_oversize_event_is_stubbed_and_what_is_behind_it_arrives(start, receiver):
    shipping = start(limit_bytes=1000)
    shipping.append(1)
    shipping.append(2, size_bytes=50_000)
    shipping.append(3)
    assert shipping.flush().left == 0
    first, stub, last = receiver.accepted
    assert (first["n"], last["n"]) == (1, 3)
    assert stub["custom"]["oversize_bytes"] > 50_000
    assert shipping.counters.oversize_stubbed == 1


def test_events_recorded_during_a_flush_are_kept_for_the_next(start, receiver):
    shipping = start()
    shipping.append(1)

    def answer(events, body):
        receiver.arrived.wait(5)
        return 200

    async def record_meanwhile():
        task = asyncio.create_task(shipping.shipper.flush(BUDGET))
        while not receiver.in_flight and not receiver.uploads:
            await asyncio.sleep(0.005)
        shipping.append(2)
        receiver.arrived.set()
        return await task

    receiver.answer = answer
    report = asyncio.run(asyncio.wait_for(record_meanwhile(), BUDGET))
    assert (report.shipped, report.left) == (1, 1)
    shipping.flush()
    assert receiver.numbers == [1, 2]


def test_a_line_that_cannot_be_set_aside_stops_the_flush_and_stays(start, receiver, tmp_path):
    path = tmp_path / "1-1-aa.log"
    path.write_bytes(b"garbage\n")
    in_the_way = tmp_path / "1-1-aa.log.corrupt"
    in_the_way.mkdir()
    shipping = start()
    assert "cannot be written: Is a directory" in str(shipping.flush().error)
    assert path.exists()
    in_the_way.rmdir()
    assert shipping.flush(force=True).error is None
    assert in_the_way.read_bytes() == b"garbage\n"
