import gzip
import hashlib
import hmac
import json
import random

import pytest

from policy_agent.audit_chain import ChainKey, audit_of, is_untouched
from policy_agent.codec import encode_json
from policy_agent.decision_log.chunk import make_stub, pack
from policy_agent.decision_log.event import build_event
from policy_agent.decision_log.numbering import Numbering
from policy_agent.errors import DecisionLogError

KEY = ChainKey(b"secret")
NO_KEY = ChainKey()


@pytest.fixture
def event(decide):
    return build_event(decide(custom={"k": 1}), {"id": "e"})


def test_numbers_have_no_gaps_and_each_entry_names_the_value_before(event):
    numbering = Numbering(KEY)
    links = []
    for _ in range(3):
        links.append(numbering.link(event))
        numbering.accept(links[-1])
    audits = [json.loads(link.raw)["custom"]["audit"] for link in links]
    assert [audit["seq"] for audit in audits] == [1, 2, 3]
    assert len({audit["instance"] for audit in audits}) == 1
    assert [audit.get("prev") for audit in audits] == [None, links[0].chain, links[1].chain]
    assert {audit["key"] for audit in audits} == {KEY.id}
    assert "key" not in audit_of(Numbering(NO_KEY).link(event).event)


def test_the_line_is_canonical_and_the_same_as_the_event(event):
    for facts in ({}, {"closing": True}):
        link = Numbering(KEY).link(event, **facts)
        assert link.raw == encode_json(link.event) == encode_json(json.loads(link.raw))
        assert json.loads(link.raw)["custom"]["k"] == 1


def test_a_bundle_named_as_the_audit_object_does_not_get_its_chain_value(decide):
    instance = Numbering(KEY)
    event = build_event(decide(revisions={"audit": '"audit":{"instance":"'}), {})
    link = instance.link(event)
    assert json.loads(link.raw) == link.event


def test_the_chain_value_is_what_the_documents_say(event):
    link = Numbering(KEY).link(event)
    fields = json.loads(link.raw)
    chain = fields["custom"]["audit"].pop("chain")
    text = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    assert chain == hmac.new(b"secret", text, hashlib.sha256).hexdigest()[:32]
    plain = json.loads(Numbering(NO_KEY).link(event).raw)
    chain = plain["custom"]["audit"].pop("chain")
    text = json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()
    assert chain == hashlib.sha256(text).hexdigest()[:32]


@pytest.mark.parametrize(
    "secret", [b"k", b"k" * 64, b"k" * 65], ids=["short", "one block", "longer"]
)
def test_keys_of_any_length_are_those_of_hmac(secret):
    expected = hmac.new(secret, b"text", hashlib.sha256).hexdigest()[:32]
    assert ChainKey(secret).tag(b"text") == expected


def test_a_number_is_not_used_up_before_the_entry_is_stored(event):
    numbering = Numbering(KEY)
    first, second = numbering.link(event), numbering.link({**event, "result": 2})
    assert first.event["custom"]["audit"]["seq"] == second.event["custom"]["audit"]["seq"] == 1
    numbering.accept(second)
    third = numbering.link(event).event["custom"]["audit"]
    assert (third["seq"], third["prev"]) == (2, second.chain)


def test_an_ended_stream_is_followed_by_another(event):
    numbering = Numbering(KEY)
    first = numbering.link(event)
    numbering.accept(first)
    numbering.end()
    second = numbering.link(event).event["custom"]["audit"]
    assert second["instance"] != first.event["custom"]["audit"]["instance"]
    assert second["seq"] == 1
    assert "prev" not in second


def test_the_name_is_drawn_with_the_first_entry(event, monkeypatch):
    """Clones of a snapshot that was taken before have different ones."""
    drawn = iter([b"12345678", b"abcdefgh"])
    numberings = [Numbering(KEY), Numbering(KEY)]
    monkeypatch.setattr("os.urandom", lambda count: next(drawn))
    instances = [n.link(event).event["custom"]["audit"]["instance"] for n in numberings]
    assert instances == [b"12345678".hex(), b"abcdefgh".hex()]


def test_what_is_not_json_gets_no_number(event):
    numbering = Numbering(KEY)
    with pytest.raises(DecisionLogError, match="is not JSON"):
        numbering.link({**event, "result": object()})
    assert numbering.link(event).event["custom"]["audit"]["seq"] == 1


@pytest.mark.parametrize("key", [KEY, NO_KEY], ids=["key", "no key"])
def test_any_change_of_an_entry_shows(event, key):
    raw = Numbering(key).link(event).raw
    assert is_untouched(json.loads(raw), key)
    for change in (
        lambda fields: fields.update(result=None),
        lambda fields: fields.pop("input"),
        lambda fields: fields["labels"].update(id="f"),
        lambda fields: fields["custom"].pop("k"),
        lambda fields: fields["custom"]["audit"].update(seq=2),
        lambda fields: fields["custom"]["audit"].update(prev="0"),
        lambda fields: fields["custom"]["audit"].pop("instance"),
        lambda fields: fields["custom"]["audit"].pop("chain"),
        lambda fields: fields.pop("custom"),
    ):
        fields = json.loads(raw)
        change(fields)
        assert not is_untouched(fields, key)
    assert not is_untouched(json.loads(raw), ChainKey(b"guess"))


def test_what_replaces_an_entry_keeps_its_place_and_is_sealed(event):
    original = Numbering(KEY).link({**event, "nd_builtin_cache": {}})
    place = audit_of(original.event)
    later_key = ChainKey(b"since the restart")
    stub = json.loads(make_stub(original.raw, {"oversize_bytes": 1}, later_key))
    audit = audit_of(stub)
    assert {name: audit[name] for name in ("instance", "seq", "chain")} == {
        name: place[name] for name in ("instance", "seq", "chain")
    }
    assert (audit["replaced"], audit["key"]) == (True, later_key.id)
    assert stub["custom"]["oversize_bytes"] == 1
    assert is_untouched(stub, later_key)
    stub["path"] = "other"
    assert not is_untouched(stub, later_key)


def test_an_entry_without_its_cache_is_sealed_too(event):
    original = Numbering(KEY).link(
        {**event, "nd_builtin_cache": {"x": random.Random(1).randbytes(4000).hex()}}
    )
    chunk = pack([original.raw], 1000, KEY)
    assert chunk.without_cache
    (entry,) = json.loads(gzip.decompress(chunk.body))
    assert audit_of(entry)["replaced"]
    assert is_untouched(entry, KEY)
