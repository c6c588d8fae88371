"""Talk to an OCI registry: answer its challenge with a token (distribution-spec; Docker's tokens).

The service's own credentials go with every first request, as in OPA (v1.22 v1/download/
oci_download.go), and to the token endpoint that the registry names.
"""

from __future__ import annotations

import re
import time
from typing import Final
from urllib.parse import urlencode, urlsplit

from policy_agent.codec import decode_json
from policy_agent.errors import DocumentError, TransportError
from policy_agent.http_client import Limits, Received, Request, Response
from policy_agent.service import ServiceClient

_UNAUTHORIZED: Final = 401
_MAX_TOKEN_BYTES: Final = 1 << 20
_DEFAULT_LIFETIME_SECONDS: Final = 60
_MIN_LIFETIME_SECONDS: Final = 10
_PARAMETER: Final = re.compile(r'([a-z]+)="([^"]*)"')


class RegistryClient:
    """A client of one registry that fetches tokens as they are needed."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client
        self._token = ""
        self._token_ends_at = 0.0

    @property
    def timeout_seconds(self) -> float:
        """How long the registry may take to answer, by its configuration."""
        return self._client.timeout_seconds

    def url_of(self, resource: str) -> str:
        """Return the URL of a resource below the registry's."""
        return self._client.url_of(resource)

    async def send(
        self, request: Request, limits: Limits, received: Received | None = None
    ) -> Response:
        """Send one request, with a token where the registry wants one.

        Raises:
            TransportError: no whole answer, or no token.
        """
        if self._token_ends_at - time.time() > _MIN_LIFETIME_SECONDS:
            answer = await self._client.send(self._with_token(request), limits, received)
        else:
            answer = await self._client.send(request, limits, received)
        challenge = answer.headers.get("www-authenticate", "")
        if answer.status != _UNAUTHORIZED or not challenge.lower().startswith("bearer "):
            return answer
        await self._fetch_token(dict(_PARAMETER.findall(challenge)), limits)
        return await self._client.send(self._with_token(request), limits, received)

    def _with_token(self, request: Request) -> Request:
        headers = {**request.headers, "Authorization": f"Bearer {self._token}"}
        return Request(request.method, request.url, headers, request.body)

    async def _fetch_token(self, challenge: dict[str, str], limits: Limits) -> None:
        realm = challenge.get("realm", "")
        scheme = urlsplit(realm).scheme
        # A secret that the registry is told over TLS must not go elsewhere without.
        if scheme != "https" and scheme != urlsplit(self.url_of("")).scheme:
            raise TransportError("the registry's token endpoint is not an https URL")
        wanted = [(key, challenge[key]) for key in ("service", "scope") if key in challenge]
        joint = "&" if "?" in realm else "?"
        request = Request("GET", f"{realm}{joint}{urlencode(wanted)}")
        asked_at = time.time()
        answer = await self._client.send(request, Limits(limits.timeout_seconds, _MAX_TOKEN_BYTES))
        host = urlsplit(realm).netloc
        if answer.status != 200:
            raise TransportError(f"token endpoint {host} answered {answer.status} {answer.reason}")
        try:
            document = decode_json(answer.body)
            self._token = document.get("token") or document["access_token"]
            lifetime_seconds = float(document.get("expires_in") or _DEFAULT_LIFETIME_SECONDS)
        except (DocumentError, AttributeError, KeyError, TypeError, ValueError) as exc:
            raise TransportError(f"token endpoint {host} gave no token") from exc
        self._token_ends_at = asked_at + lifetime_seconds
