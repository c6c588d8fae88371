"""The secret that the agent's port may ask for (`server.port_token`)."""

from __future__ import annotations

import os

HEADER = "X-Policy-Agent-Token"
SECRET_VARIABLE = "POLICY_AGENT_TOKEN"  # noqa: S105 - the name, not the secret
PATH_VARIABLE = "POLICY_AGENT_TOKEN_PATH"
DEFAULT_PATH = "/tmp/policy-agent/port-token"  # noqa: S108 - where the agent leaves it

_known: str | None = None


def headers() -> dict[str, str]:
    """Return the header to send; {} when there is no secret to be found."""
    # That there is none is remembered, too: an agent that asks for one answers 401.
    secret = _known if _known is not None else reread()
    return {HEADER: secret} if secret else {}


def reread() -> str:
    """Look the secret up again: a restarted agent has another one."""
    global _known
    secret = os.environ.get(SECRET_VARIABLE, "")
    if not secret:
        try:
            with open(os.environ.get(PATH_VARIABLE) or DEFAULT_PATH, encoding="ascii") as file:
                secret = file.read().strip()
        except (OSError, UnicodeDecodeError):
            secret = ""
    _known = secret
    return secret


def forget() -> None:
    """Look the secret up anew at the next call."""
    global _known
    _known = None
