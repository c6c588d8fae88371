"""Call one configured service: its URL, headers, credentials and trust applied to each request."""

from __future__ import annotations

import platform
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path

from policy_agent import __version__, http_client
from policy_agent.config import Service
from policy_agent.errors import TransportError

USER_AGENT = f"policy-agent/{__version__} ({sys.platform}, {platform.machine()})"


class ServiceClient:
    """Sends requests to one service; holds no connection between them."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._tls: ssl.SSLContext | None = None

    @property
    def timeout_seconds(self) -> float:
        """How long the service may take to answer, by its configuration."""
        return self._service.response_timeout_seconds

    async def request(
        self,
        method: str,
        resource: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_seconds: float | None = None,
        max_bytes: int = 1 << 20,
    ) -> http_client.Response:
        """Send one request below the service's URL.

        Args:
            resource: a path, with or without leading slash.
            timeout_seconds: for the whole exchange; the service's own limit when None.
            max_bytes: the largest answer to accept.

        Raises:
            TransportError: no whole answer, or the token or CA file cannot be read.
        """
        service = self._service
        url = f"{service.url}/{resource.lstrip('/')}"
        own = {"User-Agent": USER_AGENT, **service.headers, **self._authorization()}
        request = http_client.Request(method, url, {**own, **(headers or {})}, body)
        return await http_client.send(
            request,
            timeout_seconds=self.timeout_seconds if timeout_seconds is None else timeout_seconds,
            max_bytes=max_bytes,
            tls=self._trust(),
        )

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
