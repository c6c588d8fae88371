from __future__ import annotations

import pytest

from policy_agent.decision_log.record import Damaged, Record, frame, parse_lines


def test_a_line_is_checksum_space_json_line_feed():
    assert frame(b'{"a":1}') == b'561bacaf {"a":1}\n'


def test_lines_come_back_with_the_position_after_them():
    first, second = frame(b'{"a":1}'), frame(b'{"b":"\\n"}')
    records, damaged = parse_lines(first + second, 100)
    assert records == [
        Record(b'{"a":1}', 100 + len(first)),
        Record(b'{"b":"\\n"}', 100 + len(first) + len(second)),
    ]
    assert damaged == []


GOOD = frame(b'{"n":1}')


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(GOOD.replace(b"1}", b"2}"), id="changed byte"),
        pytest.param(b"0" + GOOD[1:], id="changed checksum"),
        pytest.param(GOOD[:8] + b"_" + GOOD[9:], id="no space"),
        pytest.param(b"\n", id="empty"),
        pytest.param(b"\0" * 4096 + b"\n", id="zeros"),
        pytest.param(b"\xff\r\x0b\n", id="not text"),
        pytest.param(GOOD[:8].upper() + GOOD[8:] if GOOD[:8].islower() else b"x\n", id="case"),
    ],
)
def test_a_damaged_line_is_told_from_its_neighbours(line):
    records, damaged = parse_lines(GOOD + line + GOOD, 0)
    assert [record.event for record in records] == [b'{"n":1}'] * 2
    assert damaged == [Damaged(line, len(GOOD) + len(line))]


@pytest.mark.parametrize("cut", range(1, len(GOOD)))
def test_a_record_cut_anywhere_is_damaged(cut):
    records, damaged = parse_lines(GOOD + GOOD[:cut], 0)
    assert len(records) == 1
    assert damaged == [Damaged(GOOD[:cut], len(GOOD) + cut)]
