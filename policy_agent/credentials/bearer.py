"""A fixed token, or one from a file that something else keeps fresh."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from policy_agent.config.credentials import Bearer
from policy_agent.credentials.files import read_secret
from policy_agent.http_client import Request


class BearerToken:
    """Sends a token, as it is or in base64; a file is read for each request."""

    def __init__(self, config: Bearer, setting: str, *, in_base64: bool = False) -> None:
        self._config = config
        self._setting = setting
        self._in_base64 = in_base64

    async def headers(self, request: Request, timeout_seconds: float) -> Mapping[str, str]:
        """Return the `Authorization` header.

        Raises:
            TransportError: the file cannot be read.
        """
        token = self._config.token
        if self._config.token_path:
            token = read_secret(self._config.token_path, f"{self._setting}.token_path")
        if self._in_base64:
            token = base64.b64encode(token.encode()).decode()
        return {"Authorization": f"{self._config.scheme} {token}"}
