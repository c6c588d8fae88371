"""What a telemetry subscription asks for, checked against Lambda's limits. Pure.

Lambda Telemetry API reference and the JSON schema in aws-lambda-runtime-interface-emulator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from policy_agent.codec import decode_json
from policy_agent.emulator.refusal import Refusal
from policy_agent.emulator.settings import MANAGED_INSTANCES
from policy_agent.errors import DocumentError
from policy_agent.model import JsonObject

SCHEMA_VERSIONS = ("2022-07-01", "2022-12-13", "2025-01-29")
TYPES = ("platform", "function", "extension")
HOSTS = ("sandbox.localdomain", "sandbox")
# name -> default, least, most
BUFFERING = {
    "maxItems": (10_000, 1000, 10_000),
    "maxBytes": (262_144, 262_144, 1_048_576),
    "timeoutMs": (1000, 25, 30_000),
}


@dataclass(frozen=True, slots=True)
class Buffering:
    """When a batch is due: whichever is reached first."""

    max_items: int
    max_bytes: int
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Subscription:
    """A valid subscription.

    Attributes:
        url: where to post, on this machine's loopback address.
        host: the Host header, as the subscriber wrote it.
    """

    types: frozenset[str]
    url: str
    host: str
    buffering: Buffering


def schemas_of(initialization_type: str) -> tuple[str, ...]:
    """Return the schema versions that an environment accepts, oldest first."""
    return SCHEMA_VERSIONS[-1:] if initialization_type == MANAGED_INSTANCES else SCHEMA_VERSIONS


def parse_subscription(
    raw: bytes, schemas: tuple[str, ...] = SCHEMA_VERSIONS
) -> Subscription | Refusal:
    """Return the subscription in the body of a PUT.

    Only the HTTP protocol is emulated; TCP is refused like an invalid value.
    """
    try:
        body = decode_json(raw)
    except DocumentError as exc:
        return _invalid(str(exc))
    if not isinstance(body, dict):
        return _invalid("the body is not an object")
    if body.get("schemaVersion") not in schemas:
        return _invalid("schemaVersion is not supported")
    types = body.get("types")
    if not isinstance(types, list) or not types or any(name not in TYPES for name in types):
        return _invalid("types must name some of platform, function, extension")
    buffering = _buffering(body.get("buffering", {}))
    if isinstance(buffering, Refusal):
        return buffering
    return _destination(body.get("destination"), frozenset(types), buffering)


def _buffering(value: Any) -> Buffering | Refusal:
    if not isinstance(value, dict):
        return _invalid("buffering is not an object")
    numbers = {}
    for name, (default, least, most) in BUFFERING.items():
        number = value.get(name, default)
        if type(number) is not int or not least <= number <= most:
            return _invalid(f"buffering.{name} must be an integer from {least} to {most}")
        numbers[name] = number
    return Buffering(numbers["maxItems"], numbers["maxBytes"], numbers["timeoutMs"] / 1000)


def _destination(
    value: JsonObject | Any, types: frozenset[str], buffering: Buffering
) -> Subscription | Refusal:
    if not isinstance(value, dict) or value.get("protocol") != "HTTP":
        return _invalid("destination.protocol must be HTTP here")
    uri = value.get("URI")
    if not isinstance(uri, str):
        return _invalid("destination.URI is missing")
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return _invalid("destination.URI is not a URL")
    if parts.scheme != "http" or parts.hostname not in HOSTS or port is None:
        return _invalid(f"destination.URI must be http://{HOSTS[0]}:PORT")
    url = urlunsplit(("http", f"127.0.0.1:{port}", parts.path or "/", parts.query, ""))
    return Subscription(types, url, parts.netloc, buffering)


def _invalid(message: str) -> Refusal:
    return Refusal(400, "ValidationError", message)
