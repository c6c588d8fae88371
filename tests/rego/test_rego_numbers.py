"""Numbers of every kind are computed with and written as in OPA."""

import json

import pytest

from policy_agent.codec import decode_json, encode_json
from policy_agent.model import UNDEFINED
from policy_agent.rego import Policy
from tests.conformance.opa_server import opa_server
from tests.support import OPA

POLICY = """package a

echo := input.v
literals := [-0, 0, -0.0, 1.0, 1e2, 1.50, 12345678901234567890123]
more := input.v + 1
times := input.v * 1
less := 0 - input.v
third := input.v / 3
rest := input.v % 7
members := {input.v, 0, 1}
key := {input.v: 1}
text := sprintf("%v", [input.v])
formatted := format_int(input.v, 10)
marshalled := json.marshal(input.v)
rounded := [round(input.v), floor(input.v), ceil(input.v)]
most := max([input.v, 0])
read := to_number(sprintf("%v", [input.v]))
item := [1, 2, 3][input.v]
member := {1: "one", 0: "none"}[input.v]
total := [sum([input.v, input.v]), product([input.v, 2])]
sorted := sort([input.v, 0, "a"])
range := numbers.range(input.v, input.v)
shifted := bits.lsh(input.v, 1)
is_zero if input.v == 0
same if input.v == input.w
"""
NUMBERS = [
    *("0", "-0.0", "0.0", "1.0", "1.00", "2.0", "1e0", "1.0e0", "1e2", "1E2", "1e-2", "1.50"),
    *("1.5", "-1", "0.1", "100000000000000000000", "1e400", "-1e400", "1e-400", "1e21"),
    *("123456789012345678901234567890.12", "9007199254740993", "-9223372036854775809"),
    *("18446744073709551616", "5e-324", "1e308"),
]


@pytest.fixture(scope="module")
def opa():
    with opa_server() as server:
        server.load({"a.rego": POLICY}, {})
        yield server


def written(value):
    return None if value is UNDEFINED else json.loads(encode_json(value), parse_float=str,
                                                      parse_int=str)  # fmt: skip


@pytest.mark.opa
@pytest.mark.skipif(OPA is None, reason="no opa: set OPA_BIN or put it on the PATH")
@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_is_treated_as_in_opa(number, opa):
    raw = f'{{"input": {{"v": {number}, "w": 1}}}}'
    response = opa.client.post("/v1/data/a", content=raw)
    theirs = json.loads(response.content, parse_float=str, parse_int=str)["result"]
    with Policy.from_modules({"a.rego": POLICY}) as policy:
        assert written(policy.evaluate("a", decode_json(raw.encode())["input"])) == theirs
