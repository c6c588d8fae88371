import json

import pytest

from policy_agent.emulator.refusal import Refusal
from policy_agent.emulator.telemetry_subscription import Buffering, Subscription, parse_subscription

VALID = {
    "schemaVersion": "2022-12-13",
    "types": ["platform"],
    "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:4243/events?x=1"},
}


def parse(**changes):
    return parse_subscription(json.dumps({**VALID, **changes}).encode())


def test_the_destination_is_moved_to_loopback_with_its_path_and_host_kept():
    subscription = parse()
    assert isinstance(subscription, Subscription)
    assert subscription.url == "http://127.0.0.1:4243/events?x=1"
    assert subscription.host == "sandbox.localdomain:4243"
    assert subscription.types == {"platform"}


def test_buffering_defaults_are_lambdas():
    assert parse().buffering == Buffering(10_000, 262_144, 1.0)


def test_buffering_is_taken_from_the_body():
    limits = {"maxItems": 1000, "maxBytes": 300_000, "timeoutMs": 25}
    assert parse(buffering=limits).buffering == Buffering(1000, 300_000, 0.025)


@pytest.mark.parametrize("version", ["2022-07-01", "2022-12-13", "2025-01-29"])
def test_every_published_schema_version_is_accepted(version):
    assert isinstance(parse(schemaVersion=version), Subscription)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"schemaVersion": "2020-01-01"}, id="schema"),
        pytest.param({"types": []}, id="no-types"),
        pytest.param({"types": ["platform", "other"]}, id="unknown-type"),
        pytest.param({"types": "platform"}, id="types-not-a-list"),
        pytest.param({"destination": None}, id="no-destination"),
        pytest.param({"destination": {"protocol": "TCP", "port": 1}}, id="tcp"),
        pytest.param({"destination": {"protocol": "HTTP"}}, id="no-uri"),
        *[
            pytest.param({"destination": {"protocol": "HTTP", "URI": uri}}, id=name)
            for name, uri in {
                "loopback": "http://127.0.0.1:4243",
                "no-port": "http://sandbox.localdomain/",
                "bad-port": "http://sandbox.localdomain:99999/",
                "https": "https://sandbox.localdomain:4243",
            }.items()
        ],
        *[
            pytest.param({"buffering": value}, id=name)
            for name, value in {
                "buffering-not-an-object": [],
                "too-few-items": {"maxItems": 999},
                "too-many-items": {"maxItems": 10_001},
                "too-few-bytes": {"maxBytes": 262_143},
                "too-many-bytes": {"maxBytes": 1_048_577},
                "too-fast": {"timeoutMs": 24},
                "too-slow": {"timeoutMs": 30_001},
                "boolean": {"timeoutMs": True},
                "text": {"timeoutMs": "25"},
            }.items()
        ],
    ],
)
def test_what_lambda_refuses_is_a_validation_error(changes):
    refused = parse(**changes)
    assert isinstance(refused, Refusal)
    assert (refused.status, refused.error_type) == (400, "ValidationError")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null"])
def test_a_body_that_is_no_object_is_a_validation_error(body):
    assert isinstance(parse_subscription(body), Refusal)
