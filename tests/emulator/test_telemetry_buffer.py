from policy_agent.emulator.telemetry_buffer import TelemetryBuffer
from policy_agent.emulator.telemetry_subscription import Buffering


def test_an_empty_buffer_is_never_due():
    assert TelemetryBuffer(Buffering(10, 100, 1.0)).seconds_until_due(5.0) is None


def test_the_oldest_event_decides_when_a_batch_is_due():
    buffer = TelemetryBuffer(Buffering(10, 100, 1.0))
    buffer.push(b"a", 5.0)
    buffer.push(b"b", 5.5)
    assert buffer.seconds_until_due(5.25) == 0.75
    assert buffer.seconds_until_due(7.0) == 0.0


def test_a_full_count_or_size_is_due_at_once():
    by_count = TelemetryBuffer(Buffering(2, 100, 1.0))
    by_size = TelemetryBuffer(Buffering(10, 4, 1.0))
    for buffer in (by_count, by_size):
        buffer.push(b"aa", 0.0)
        assert buffer.seconds_until_due(0.0) == 1.0
        buffer.push(b"bb", 0.0)
        assert buffer.seconds_until_due(0.0) == 0.0


def test_take_stops_at_both_limits_and_keeps_the_order():
    buffer = TelemetryBuffer(Buffering(2, 5, 1.0))
    for event in (b"aa", b"bb", b"c", b"ddd"):
        buffer.push(event, 0.0)
    assert buffer.take(9.0) == [b"aa", b"bb"]
    assert buffer.take(9.0) == [b"c", b"ddd"]
    assert buffer.take(9.0) == []


def test_what_take_leaves_waits_its_own_time():
    buffer = TelemetryBuffer(Buffering(1, 100, 1.0))
    buffer.push(b"a", 0.0)
    buffer.push(b"b", 0.0)
    buffer.take(9.0)
    assert buffer.seconds_until_due(9.0) == 0.0  # one item is a full batch here
    assert buffer.take(9.0) == [b"b"]


def test_an_event_larger_than_a_batch_goes_alone():
    buffer = TelemetryBuffer(Buffering(10, 2, 1.0))
    buffer.push(b"xxxx", 0.0)
    assert buffer.take(0.0) == [b"xxxx"]


def test_a_slow_consumer_loses_the_oldest_events_and_is_told_which():
    buffer = TelemetryBuffer(Buffering(10, 2, 1.0))
    assert buffer.push(b"aa", 0.0) == []
    assert buffer.push(b"bb", 0.0) == []
    assert buffer.push(b"cc", 0.0) == [b"aa"]
    assert buffer.take(0.0) == [b"bb"]
    assert buffer.take(0.0) == [b"cc"]
