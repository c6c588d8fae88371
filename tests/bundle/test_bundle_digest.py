"""Digests: canonical JSON that keeps number literals, all of OPA's algorithms."""

import hashlib

import pytest

from policy_agent import codec
from policy_agent.bundle.digest import ALGORITHMS, canonical_json, file_digest
from policy_agent.errors import DocumentError


def json_digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("content", "canonical"),
    [
        pytest.param(
            '{"n": 1.0, "e":1e2, "u": "<é>"}', '{"e":1e2,"n":1.0,"u":"<é>"}', id="OPA's example"
        ),
        pytest.param('{"b": [ ], "a": { }}', '{"a":{},"b":[]}', id="empty"),
        pytest.param("[-0, -0.0, 1E400]", "[-0,-0.0,1E400]", id="odd numbers"),
        pytest.param('"\\u2028\\/\\u007f"', '"\\u2028/\x7f"', id="escapes"),
        pytest.param('["\\ud800"]', '["\ufffd"]', id="lone surrogate"),
        pytest.param('{"a": 1, "a": 2}', '{"a":2}', id="last of equal keys"),
        pytest.param("[true, null]", "[true,null]", id="constants"),
    ],
)
def test_documents_are_digested_canonically(content, canonical):
    for path in ("data.json", "a/data.json", ".manifest"):
        assert file_digest(path, content.encode(), "SHA-256") == json_digest_of(canonical)


@pytest.mark.parametrize("path", ["p.rego", "a/mydata.json", "x.manifest", "policy.wasm"])
def test_other_files_are_digested_as_bytes(path):
    content = b'{"b": 1,  "a": 2}'
    assert file_digest(path, content, "SHA-256") == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("number", "printed"),
    [
        pytest.param("1.0", "1", id="whole"),
        pytest.param("1.0e-7", "1e-7", id="small"),
        pytest.param("0.000001", "0.000001", id="not small enough"),
        pytest.param("1.5e+21", "1.5e+21", id="large"),
        pytest.param("1.0e+20", "100000000000000000000", id="not large enough"),
        pytest.param("-12345678901234567890", "-12345678901234567000", id="below int64"),
        pytest.param("18446744073709551615", "18446744073709551615", id="uint64"),
        pytest.param("123456789012345678901234", "1.2345678901234569e+23", id="above uint64"),
    ],
)
def test_yaml_numbers_are_digested_as_go_prints_them(number, printed):
    assert file_digest("data.yaml", number.encode(), "SHA-256") == json_digest_of(printed)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        pytest.param("data.json", b"{", id="not JSON"),
        pytest.param("data.json", b"[NaN]", id="not a number"),
        pytest.param("data.json", b"[" * 3000 + b"]" * 3000, id="deep"),
        pytest.param("data.yaml", b".inf", id="infinite"),
        pytest.param("data.yaml", b"1" * 400, id="too large"),
    ],
)
def test_what_is_no_document_has_no_digest(path, content):
    with pytest.raises(DocumentError):
        file_digest(path, content, "SHA-256")


def test_a_value_too_deep_to_walk_has_no_canonical_form():
    value: list[object] = []
    for _ in range(5000):
        value = [value]
    with pytest.raises(DocumentError, match="nested too deeply"):
        canonical_json(value)


@pytest.mark.parametrize(("name", "known_as"), ALGORITHMS.items())
def test_every_algorithm_of_opa_is_there(name, known_as):
    assert file_digest("p.rego", b"x", name) == hashlib.new(known_as, b"x").hexdigest()


def test_the_canonical_form_reads_back_as_the_same_value():
    value = {"b": [1, "x\u2029", None, True], "a": {"é": {}}}
    assert codec.decode_json(canonical_json(value)) == value
