from __future__ import annotations

import gzip
import json
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_agent.audit_chain import ChainKey
from policy_agent.decision_log.chunk import make_stub, pack, pack_alone

NUMBERS = random.Random(7)
NO_KEY = ChainKey()


def event_of(number, size_bytes, *, compressible=True, **more):
    filler = "a" * size_bytes if compressible else NUMBERS.randbytes(size_bytes // 2).hex()
    fields = {"decision_id": f"id-{number}", "input": filler, **more}
    return json.dumps(fields, separators=(",", ":")).encode()


def contents(body):
    return json.loads(gzip.decompress(body))


def pack_all(events, limit_bytes):
    chunks, at = [], 0
    while at < len(events):
        chunks.append(pack(events[at:], limit_bytes, NO_KEY))
        at += chunks[-1].count
    assert at == len(events)
    return chunks


@settings(max_examples=150, deadline=None)
@given(
    sizes=st.lists(
        st.tuples(st.one_of(st.integers(0, 200), st.integers(0, 20_000)), st.booleans()),
        min_size=1,
        max_size=60,
    ),
    limit_bytes=st.one_of(st.integers(90, 2000), st.integers(90, 40_000)),
)
def test_every_event_survives_in_order_within_the_limit_or_alone_as_a_stub(sizes, limit_bytes):
    events = [
        event_of(number, size, compressible=compressible)
        for number, (size, compressible) in enumerate(sizes)
    ]
    seen: list[str] = []
    for chunk in pack_all(events, limit_bytes):
        packed = contents(chunk.body)
        assert len(packed) == chunk.count
        if chunk.stubbed:
            assert chunk.count == 1
            assert len(pack_alone(events[len(seen)])) > limit_bytes - 32
            assert packed[0]["erased"] == ["/input", "/result"]
        else:
            assert len(chunk.body) <= limit_bytes
            assert packed == [json.loads(event) for event in events[len(seen) :][: chunk.count]]
        seen += [event["decision_id"] for event in packed]
    assert seen == [f"id-{number}" for number in range(len(events))]


def test_chunks_are_nearly_full():
    events = [event_of(number, 400, compressible=False) for number in range(2000)]
    chunks = pack_all(events, 32768)
    assert min(len(chunk.body) for chunk in chunks[:-1]) > 0.85 * 32768


def test_an_oversize_event_first_gives_up_its_built_in_cache():
    cache = {"http.send": NUMBERS.randbytes(2000).hex()}
    fields = {"nd_builtin_cache": cache, "erased": ["/input/a"], "result": True}
    chunk = pack([event_of(1, 10, **fields)], 1000, NO_KEY)
    assert (chunk.count, chunk.without_cache, chunk.stubbed) == (1, True, False)
    assert contents(chunk.body) == [
        {
            "decision_id": "id-1",
            "input": "a" * 10,
            "result": True,
            "erased": ["/input/a", "/nd_builtin_cache"],
        }
    ]


def test_an_oversize_event_becomes_a_stub_that_still_identifies_the_decision():
    kept = {
        "labels": {"id": "e"},
        "path": "authz/allow",
        "timestamp": "2026-11-21T05:39:58Z",
        "bundles": {"b": {}},
    }
    event = event_of(1, 5000, compressible=False, result=1, custom={"k": 1}, **kept)
    chunk = pack([event, event_of(2, 10)], 1000, NO_KEY)
    assert (chunk.count, chunk.stubbed) == (1, True)
    assert contents(chunk.body) == [
        {
            **kept,
            "decision_id": "id-1",
            "erased": ["/input", "/result"],
            "custom": {"oversize_bytes": len(event)},
        }
    ]


@pytest.mark.parametrize("raw", [b"[1]", b"{", b"7"])
def test_a_stub_of_what_is_no_event_is_still_an_event(raw):
    stub = json.loads(make_stub(raw, {"k": 1}, NO_KEY))
    assert stub == {"erased": ["/input", "/result"], "custom": {"k": 1}}


def test_cost_grows_linearly_with_the_number_of_events():
    def seconds(count):
        events = [event_of(number, 300, compressible=False) for number in range(count)]
        started = time.process_time()
        at = 0
        while at < count:
            at += pack(events[at : at + 1000], 4096, NO_KEY).count
        return time.process_time() - started

    seconds(100)
    assert seconds(4000) < 4 * 4 * seconds(1000)


def test_a_giant_in_front_costs_no_more_than_its_own_compression():
    giant = event_of(0, 4_000_000, compressible=False)
    started = time.process_time()
    pack_alone(giant)
    alone = time.process_time() - started
    started = time.process_time()
    chunk = pack([giant, *(event_of(number, 100) for number in range(1000))], 32768, NO_KEY)
    assert chunk.stubbed
    assert time.process_time() - started < 6 * alone
