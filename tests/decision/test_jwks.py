import asyncio

import pytest

from policy_agent.config import Issuer
from policy_agent.decision.jwks import Clock, KeySet, read_keys
from tests.decision.tokens import ISSUER, jwk, key_set
from tests.support import http_server, reply


class Times:
    """Two clocks that a test sets."""

    def __init__(self) -> None:
        self.wall = self.monotonic = 1000.0

    def clock(self):
        return Clock(lambda: self.wall, lambda: self.monotonic)


@pytest.mark.parametrize("stands_still", ["wall", "monotonic"])
def test_keys_are_overdue_by_whichever_clock_went_on(stands_still):
    times = Times()

    def serve(request, body):
        reply(request, 200, key_set(jwk("k1")))

    with http_server(serve) as url:
        issuer = Issuer("corp", ISSUER, ("a",), ("RS256",), jwks_url=url)
        keys = KeySet(issuer, refresh_seconds=100, retry_seconds=10, clock=times.clock())
        assert keys.is_overdue()
        asyncio.run(keys.fetch(5))
    assert not keys.is_overdue()
    assert keys.find("k1", "RS256") is keys.find(None, "RS256") is not None
    setattr(times, {"wall": "monotonic", "monotonic": "wall"}[stands_still], 1100.0)
    assert keys.is_overdue()
    generation = keys.generation
    asyncio.run(keys.fetch(5))  # nobody listens there any more: the keys stay, for now
    assert keys.find("k1", "RS256") is not None
    assert keys.generation == generation
    assert not keys.is_overdue()
    times.wall += 10
    assert keys.is_overdue()


def test_a_key_counts_for_what_it_is_only():
    assert set(read_keys([jwk("k1")], ("RS256", "RS512", "ES256"))) == {
        ("k1", "RS256"),
        ("k1", "RS512"),
    }
    assert set(read_keys([jwk("k1", alg="RS512")], ("RS256", "RS512"))) == {("k1", "RS512")}
    assert read_keys([jwk("k1")], ("HS256",)) == {}
    assert read_keys([jwk("k1", use="enc"), jwk("k2", key_ops=["sign"])], ("RS256",)) == {}
    assert read_keys(["text", {}, {"kty": "RSA"}, jwk("k1") | {"kid": 7}], ("RS256",)) == {}
    unnamed = jwk("k1")
    del unnamed["kid"]
    assert len(read_keys([unnamed, unnamed], ("RS256",))) == 2
