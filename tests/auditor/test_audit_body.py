import gzip
import tracemalloc

import pytest

from policy_agent.auditor.body import gunzip, split_entries
from policy_agent.errors import RequestError


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param(gzip.compress(b"[1]"), b"[1]", id="one member"),
        pytest.param(gzip.compress(b"[1,") + gzip.compress(b"2]"), b"[1,2]", id="two members"),
        pytest.param(gzip.compress(b""), b"", id="nothing inside"),
    ],
)
def test_gunzip_joins_the_members(body, text):
    assert gunzip(body) == text


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(b"[1]", "not gzip", id="plain"),
        pytest.param(b"", "cut short", id="empty"),
        pytest.param(gzip.compress(b"[1]")[:-1], "cut short", id="cut"),
        pytest.param(gzip.compress(b"[1]") + b"x", "not whole|not gzip", id="text behind"),
        pytest.param(gzip.compress(b"[1]")[:-8] + bytes(8), "not gzip", id="wrong checksum"),
    ],
)
def test_gunzip_says_what_is_wrong(body, reason):
    with pytest.raises(RequestError, match=reason):
        gunzip(body)


@pytest.mark.parametrize("members", [pytest.param(1, id="one"), pytest.param(64, id="many")])
def test_a_bomb_is_refused_before_it_fills_the_memory(members):
    bomb = gzip.compress(bytes(64_000_000 // members)) * members
    tracemalloc.start()
    try:
        with pytest.raises(RequestError, match="larger than 1000000 bytes"):
            gunzip(bomb, limit_bytes=1_000_000)
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


def test_the_limit_itself_is_allowed():
    assert len(gunzip(gzip.compress(bytes(1000)), limit_bytes=1000)) == 1000


def test_entries_keep_their_text():
    text = (
        b'[ {"n": 1.10000000000000000001, "b":1, "a":"\\u00e9"},\n 12345678901234567890123 ,null]'
    )
    assert split_entries(text) == [
        b'{"n": 1.10000000000000000001, "b":1, "a":"\\u00e9"}',
        b"12345678901234567890123",
        b"null",
    ]


def test_what_go_reads_and_msgspec_does_not_is_still_taken_apart():
    assert split_entries(b'[{"a":"\\ud800"},"b"]') == ['{"a":"\ufffd"}'.encode(), b'"b"']


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param(b"", "not JSON", id="empty"),
        pytest.param(b"[1,]", "not JSON", id="comma"),
        pytest.param(b"[1] 2", "not JSON", id="more behind"),
        pytest.param(b'{"a":1}', "not a JSON array", id="object"),
        pytest.param(b"[" * 100_000, "nested too deeply", id="deep"),
    ],
)
def test_what_is_no_array_is_refused(text, reason):
    with pytest.raises(RequestError, match=reason):
        split_entries(text)
