"""AWS access keys, and calls to AWS's own services that are signed with them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar
from urllib.parse import quote, unquote, urlsplit

from msgspec.structs import replace

from policy_agent import http_client
from policy_agent.credentials.sigv4 import Signer, ToSign
from policy_agent.errors import TransportError
from policy_agent.http_client import Limits, Request
from policy_agent.record import Record

Environ = Mapping[str, str]
_MAX_ANSWER_BYTES = 1 << 20


class AwsKeys(Record, frozen=True):
    """Access keys and the region to use them in.

    Attributes:
        ends_at: seconds since the epoch; 0 for keys that are looked up each time.
    """

    unshown: ClassVar[frozenset[str]] = frozenset({"secret_key", "session_token"})

    access_key: str
    secret_key: str
    session_token: str
    region: str
    ends_at: float = 0

    def signature(self, request: Request, service: str) -> dict[str, str]:
        """Return the headers that sign `request` now."""
        signer = Signer(self.access_key, self.secret_key, self.session_token, self.region, service)
        parts = urlsplit(request.url)
        to_sign = ToSign(
            request.method,
            parts.netloc.rpartition("@")[2],
            # S3 signs what it makes of the path itself: all but the unreserved characters escaped.
            quote(unquote(parts.path), safe="/~") or "/",
            parts.query,
            request.headers,
            hashlib.sha256(request.body or b"").hexdigest(),
        )
        return signer.headers(to_sign, datetime.now(UTC))


def region_of(configured: str, environ: Environ) -> str:
    """Return the configured region, else the environment's.

    Raises:
        TransportError: there is none.
    """
    region = configured or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    if not region:
        raise TransportError("no aws_region is configured and AWS_REGION is not set")
    return region


def endpoint(service: str, region: str, environ: Environ, domain: str = "") -> str:
    """Return the URL of one of AWS's services, with a slash at the end."""
    named = environ.get(f"AWS_ENDPOINT_URL_{service.upper()}") or environ.get("AWS_ENDPOINT_URL")
    if named:
        return named.rstrip("/") + "/"
    domain = domain or environ.get("AWS_DOMAIN") or "amazonaws.com"
    return f"https://{service}.{region}.{domain}/"


async def call(
    request: Request, timeout_seconds: float, *, keys: AwsKeys | None = None, service: str = ""
) -> bytes:
    """Send a request, signed when there are keys to do it with, and return the answer's body.

    Raises:
        TransportError: no answer, or another than 200.
    """
    if keys is not None:
        signature = keys.signature(request, service)
        request = replace(request, headers={**request.headers, **signature})
    answer = await http_client.send(request, Limits(timeout_seconds, _MAX_ANSWER_BYTES))
    if answer.status != 200:
        host = urlsplit(request.url).netloc
        raise TransportError(f"{host} answered {answer.status} {answer.reason}")
    return answer.body
