import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_agent.codec import (
    decode_document,
    decode_json,
    decode_json_prefix,
    decode_yaml,
    encode_json,
    indent_json,
)
from policy_agent.errors import DocumentError

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


@given(json_values)
def test_what_is_encoded_decodes_to_the_same_value(value):
    assert decode_json(encode_json(value)) == value
    assert decode_json(indent_json(encode_json(value))) == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param({"b": 1, "a": 2}, b'{"a":2,"b":1}', id="keys sorted"),
        pytest.param("<a&b>", b'"\\u003ca\\u0026b\\u003e"', id="html escaped as by Go"),
        pytest.param("\u2028\u2029", b'"\\u2028\\u2029"', id="line separators escaped"),
        pytest.param("é", '"é"'.encode(), id="other text raw"),
        pytest.param(2**70, b"1180591620717411303424", id="integers of any size"),
    ],
)
def test_encoding_follows_go(value, expected):
    assert encode_json(value) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(b'{"a":1,"a":2}', {"a": 2}, id="last of equal keys"),
        pytest.param(b'"\xff"', "\ufffd", id="invalid UTF-8 replaced"),
        pytest.param(b'"\\ud800"', "\ufffd", id="lone surrogate replaced"),
        pytest.param(b'"\\ud83d\\ude00"', "\U0001f600", id="surrogate pair kept"),
    ],
)
def test_decoding_follows_go(raw, expected):
    assert decode_json(raw) == expected


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        pytest.param(b"", "line 1 column 1", id="empty"),
        pytest.param(b'{"a":\n NaN}', "NaN", id="NaN"),
        pytest.param(b'{"a":\n 1,}', "line 2 column", id="trailing comma"),
        pytest.param(b"{} {}", "line 1 column 3: Extra data", id="two documents"),
        pytest.param(b"\xef\xbb\xbf{}", "line 1", id="byte order mark"),
        pytest.param(b"[" * 100_000, "nested too deeply", id="nesting"),
    ],
)
def test_bad_json_is_refused_with_its_place(raw, message):
    with pytest.raises(DocumentError, match=message):
        decode_json(raw)


def test_only_the_first_value_counts_in_a_prefix():
    assert decode_json_prefix(b' {"input":1} trailing') == {"input": 1}
    with pytest.raises(DocumentError):
        decode_json_prefix(b"x")


@given(st.binary())
def test_arbitrary_bytes_end_in_a_value_or_our_error(raw):
    for decode in (decode_json, decode_json_prefix, decode_yaml, decode_document):
        with contextlib.suppress(DocumentError):
            encode_json(decode(raw))


def test_yaml_yields_json_values_only():
    text = b"on: 2026-01-01\n1: yes\ntrue: {a: [1, 2.5, null, True]}\nx: &a {k: v}\ny: {<<: *a}\n"
    assert decode_yaml(text) == {
        "on": "2026-01-01",
        "1": "yes",
        "true": {"a": [1, 2.5, None, True]},
        "x": {"k": "v"},
        "y": {"k": "v"},
    }


def test_bad_yaml_is_refused_with_its_place():
    with pytest.raises(DocumentError, match="line 3 column 4"):
        decode_yaml(b"a: 1\nb: [\nc: }")
    with pytest.raises(DocumentError, match="line 1 column"):
        decode_yaml(b"? [a]\n: 1")
    with pytest.raises(DocumentError, match="line 1"):
        decode_yaml(b"a: !!python/object:os.system {}")


def test_a_document_is_json_where_it_begins_like_json():
    assert decode_document(b' {"a": 1e2}') == {"a": 100.0}
    assert decode_document(b"{a: b}") == {"a": "b"}
    assert decode_document(b"a: b") == {"a": "b"}


def test_what_is_no_text_is_written_as_replacement_characters():
    assert encode_json({"\udcff": ["a\udc80"]}) == '{"\ufffd":["a\ufffd"]}'.encode()


def test_numbers_keep_their_digits():
    raw = b'{"a":[1.0,1e3,1.10,1e400,12345678901234567890123]}'
    assert encode_json(decode_json(raw)) == raw


def test_minus_zero_is_written_back_as_it_was_read():
    raw = b'{"a":-0,"b":[-0,-0.0,0],"c":"-0"}'
    assert encode_json(decode_json(raw)) == raw
    assert decode_json_prefix(b"-0") == 0
