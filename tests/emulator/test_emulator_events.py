import pytest

from policy_agent.emulator.events import EventLog
from policy_agent.errors import EmulatorError


def test_events_are_found_by_kind_and_subject_in_order():
    events = EventLog()
    events.record("next", "a")
    events.record("next", "b", n=1)
    events.record("next", "a")
    assert [event.subject for event in events.of("next")] == ["a", "b", "a"]
    assert events.of("next", "b")[0].detail == {"n": 1}
    assert [event.subject for event in events] == ["a", "b", "a"]


def test_elapsed_ms_is_measured_in_the_latest_generation():
    events = EventLog()
    first = events.record("spawn", "a")
    events.record("register", "a")
    second = events.record("spawn", "a")
    last = events.record("register", "a")
    assert events.elapsed_ms("spawn", "register", "a") == (last.at_ns - second.at_ns) / 1e6
    assert first.at_ns <= second.at_ns


def test_elapsed_ms_names_the_pair_that_never_happened():
    events = EventLog()
    events.record("register", "a")
    events.record("spawn", "a")
    with pytest.raises(EmulatorError, match="a: no spawn followed by register"):
        events.elapsed_ms("spawn", "register", "a")
