"""Ask whoever calls the port for a secret that a forged request cannot know.

A function that fetches a URL for its caller can be made to fetch the agent's. Such a request has
no header of the attacker's choosing, let alone this one. The secret is configured, or made at start
and left in a file for the function: unlike AWS_SESSION_TOKEN, it is there under SnapStart as well.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from hmac import compare_digest
from pathlib import Path
from typing import Final, Self

from policy_agent.config import PortTokenSource

log = logging.getLogger(__name__)

HEADER: Final = b"x-policy-agent-token"
MESSAGE: Final = (
    "the request lacks the token of this port: send the content of the file that "
    "server.port_token.path names, or the secret, in the header X-Policy-Agent-Token"
)


class PortToken:
    """The secret that every request but a health check must bring."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    @classmethod
    def open(cls, source: PortTokenSource) -> Self:
        """Return the configured secret, or make one and write it to the file.

        A file that cannot be written is logged; then nobody knows the secret, and all are refused.
        """
        if source.secret:
            return cls(source.secret)
        # Most agents are given no port token.
        import secrets

        secret = secrets.token_urlsafe()
        try:
            _write(Path(source.path), secret)
        except OSError as exc:
            log.error("server.port_token.path: cannot be written: %s", exc.strerror)
        return cls(secret)

    def admits(self, path: str, headers: Mapping[bytes, bytes]) -> bool:
        """Tell whether a request may be answered.

        Args:
            headers: lower-case name -> value.
        """
        return path == "/health" or compare_digest(headers.get(HEADER, b""), self._secret)


def _write(path: Path, secret: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A new file each time: whoever has an old one open, or has put a link there, learns nothing.
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secret)
    fresh.replace(path)
