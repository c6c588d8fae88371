"""A fixed token, or one from a file that something else keeps fresh."""

from __future__ import annotations

from collections.abc import Mapping

from policy_agent.config import Bearer
from policy_agent.credentials.files import read_secret
from policy_agent.http_client import Request


class BearerToken:
    """Sends a token as it is; a file is read for each request."""

    def __init__(self, config: Bearer, setting: str) -> None:
        self._config = config
        self._setting = setting

    async def headers(self, request: Request, timeout_seconds: float) -> Mapping[str, str]:
        """Return the `Authorization` header.

        Raises:
            TransportError: the file cannot be read.
        """
        token = self._config.token
        if self._config.token_path:
            token = read_secret(self._config.token_path, f"{self._setting}.token_path")
        return {"Authorization": f"{self._config.scheme} {token}"}
