from __future__ import annotations

import os
import time
import uuid

from policy_agent.decision_log.ids import new_decision_id


def test_id_is_a_uuid_of_version_7_with_the_current_milliseconds():
    before_ms = time.time_ns() // 1_000_000
    parsed = uuid.UUID(text := new_decision_id())
    after_ms = time.time_ns() // 1_000_000
    assert str(parsed) == text
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert before_ms <= parsed.int >> 80 <= after_ms


def test_ids_are_distinct_and_sort_by_creation_time():
    stamped = []
    for _ in range(5000):
        before_ns = time.time_ns()
        stamped.append((before_ns, new_decision_id(), time.time_ns()))
    assert len({made for _, made, _ in stamped}) == len(stamped)
    for (_, earlier, end_ns), (begin_ns, later, _) in zip(stamped, stamped[1000:], strict=False):
        if begin_ns - end_ns > 1000:
            assert earlier < later


def test_a_forked_copy_makes_other_ids():
    new_decision_id()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, "".join(new_decision_id()[19:] for _ in range(100)).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with open(reader) as pipe:
        copied = pipe.read()
    random_parts = {copied[at : at + 17] for at in range(0, len(copied), 17)}
    assert len(random_parts) == 100
    assert random_parts.isdisjoint(new_decision_id()[19:] for _ in range(100))
