"""Call one configured service: its URL, headers, credentials and trust applied to each request."""

from __future__ import annotations

import platform
import ssl
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from policy_agent import __version__, http_client
from policy_agent.config import Service
from policy_agent.errors import TransportError
from policy_agent.http_client import Limits, Received, Request, Response

USER_AGENT = f"policy-agent/{__version__} ({sys.platform}, {platform.machine()})"
_NO_LIMIT_SECONDS = 3600  # a timeout of 0 is none in OPA; nothing here takes that long


class ServiceClient:
    """Sends requests to one service; holds no connection between them."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._tls: ssl.SSLContext | None = None

    @property
    def timeout_seconds(self) -> float:
        """How long the service may take to answer, by its configuration."""
        return self._service.response_timeout_seconds or _NO_LIMIT_SECONDS

    def url_of(self, resource: str) -> str:
        """Return the URL of a resource below the service's."""
        return f"{self._service.url}/{resource.lstrip('/')}"

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
            request: its own headers win over the service's.
            received: told of the answer as it arrives.

        Raises:
            TransportError: no whole answer, or what the service asks for cannot be read.
        """
        own = {"User-Agent": USER_AGENT, **self._service.headers, **self._authorization()}
        request = replace(request, headers={**own, **request.headers})
        return await http_client.send(request, limits, tls=self._trust(), received=received)

    def _authorization(self) -> dict[str, str]:
        credentials = self._service.credentials
        if credentials is None:
            return {}
        token = credentials.token
        if credentials.token_path:
            try:
                token = Path(credentials.token_path).read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError) as exc:
                msg = f"services.{self._service.name}.credentials.bearer.token_path: cannot be read"
                raise TransportError(msg) from exc
        return {"Authorization": f"{credentials.scheme} {token}"}

    def _trust(self) -> ssl.SSLContext | None:
        service = self._service
        if not service.url.startswith("https") or self._tls is not None:
            return self._tls
        try:
            self._tls = ssl.create_default_context(cafile=service.ca_cert or None)
        except OSError as exc:
            msg = f"services.{service.name}.tls.ca_cert: cannot be read"
            raise TransportError(msg) from exc
        if service.allow_insecure_tls:
            self._tls.check_hostname = False
            self._tls.verify_mode = ssl.CERT_NONE
        return self._tls
