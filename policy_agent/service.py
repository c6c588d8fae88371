"""Call one configured service: its URL, headers, credentials and trust applied to each request."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from urllib.parse import quote

from msgspec.structs import replace

from policy_agent import __version__, http_client
from policy_agent.config import Service
from policy_agent.credentials import authorizer_of
from policy_agent.credentials.tls import TlsFiles
from policy_agent.http_client import Limits, Received, Request, Response

USER_AGENT = f"policy-agent/{__version__} ({sys.platform}, {os.uname().machine})"
_URL_CHARACTERS = "/:;=@&$+,!~*'()[]%?-._"  # what Go leaves as it is
_NO_LIMIT_SECONDS = 3600  # a timeout of 0 is none in OPA; nothing here takes that long


class ServiceClient:
    """Sends requests to one service; holds no connection between them."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._tls = TlsFiles(service)
        self._authorizer = authorizer_of(service, self._tls)

    @property
    def timeout_seconds(self) -> float:
        """How long the service may take to answer, by its configuration."""
        return self._service.response_timeout_seconds or _NO_LIMIT_SECONDS

    def url_of(self, resource: str) -> str:
        """Return the URL of a resource below the service's."""
        return f"{self._service.url}/{quote(resource.lstrip('/'), safe=_URL_CHARACTERS)}"

    async def request(
        self,
        method: str,
        resource: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_seconds: float | None = None,
        max_bytes: int = 1 << 20,
    ) -> Response:
        """Send one request below the service's URL.

        Args:
            resource: a path, with or without leading slash.
            timeout_seconds: for the whole exchange; the service's own limit when None.
            max_bytes: the largest answer to accept.

        Raises:
            TransportError: no whole answer, or what the service asks for cannot be read.
        """
        request = Request(method, self.url_of(resource), headers or {}, body)
        limit = self.timeout_seconds if timeout_seconds is None else timeout_seconds
        return await self.send(request, Limits(limit, max_bytes))

    async def send(
        self, request: Request, limits: Limits, received: Received | None = None
    ) -> Response:
        """Send one request to the service with its headers and credentials.

        Args:
            request: its own headers win over the service's; one with `Authorization` needs no
                credentials.
            received: told of the answer as it arrives.

        Raises:
            TransportError: no whole answer, or what the service asks for cannot be read.
        """
        own = {"User-Agent": USER_AGENT, **self._service.headers}
        request = replace(request, headers={**own, **request.headers})
        if "Authorization" not in request.headers:
            vouching = await self._authorizer.headers(request, limits.timeout_seconds)
            request = replace(request, headers={**request.headers, **vouching})
        tls = self._tls.context() if request.url.startswith("https:") else None
        return await http_client.send(request, limits, tls=tls, received=received)
