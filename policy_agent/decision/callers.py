"""Put the caller's verified identity into the input, where no caller can put it.

Imports nothing that only verifying needs; `open_callers` does, once tokens are to be verified.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from policy_agent.config import Identity
from policy_agent.errors import IdentityError, KeysNeededError
from policy_agent.model import UNDEFINED

if TYPE_CHECKING:
    from policy_agent.decision.jwks import KeySet
    from policy_agent.decision.tokens import Caller

IDENTITY_KEY: Final = "identity"
FETCH_SECONDS: Final = 2.0
_BEARER: Final = "bearer"


class Verifier(Protocol):
    """What judges a token."""

    def verify(self, token: str) -> Caller:
        """Return whose token it is, or raise IdentityError."""


class Callers:
    """Identifies whoever asks for a decision.

    Args:
        config: where the token is, and whether there must be one.
        keys: issuer's name -> its keys.
        verifier: judges the token.
    """

    def __init__(self, config: Identity, keys: Mapping[str, KeySet], verifier: Verifier) -> None:
        self._config = config
        self._keys = keys
        self._verifier = verifier
        self._fetching: dict[str, asyncio.Task[None]] = {}
        self.header = config.header.encode()

    async def start(self, timeout_seconds: float) -> None:
        """Fetch the keys of every issuer; one that cannot be had is tried again when needed."""
        overdue = [keys for keys in self._keys.values() if keys.is_overdue()]
        await asyncio.gather(*(keys.fetch(timeout_seconds) for keys in overdue))

    async def fetch(self, needed: KeysNeededError) -> None:
        """Fetch what a `KeysNeededError` asks for; calls at the same time share one fetch."""
        name = needed.issuer
        task = self._fetching.get(name)
        if task is None or task.done():
            fetching = self._keys[name].fetch(FETCH_SECONDS)
            task = self._fetching[name] = asyncio.create_task(fetching, name=f"keys of {name}")
        # One caller that hangs up must not take the keys from the others.
        await asyncio.shield(task)

    def withhold(self, value: Any) -> tuple[Any, str]:
        """Return the input without the caller's token, and the token, "" when there is none.

        The input is shared up to the token's place: whoever has the original is not disturbed.
        """
        path = self._config.input_field
        if not path or not isinstance(value, dict):
            return value, ""
        remaining = top = dict(value)
        for key in path[:-1]:
            inner = remaining.get(key)
            if not isinstance(inner, dict):
                return value, ""
            remaining[key] = inner = dict(inner)
            remaining = inner
        token = remaining.pop(path[-1], "")
        return top, token if isinstance(token, str) else "\0"

    def identify(self, value: Any, token: str) -> tuple[Any, Caller | None]:
        """Return the input with the caller's identity in it, and the caller.

        Args:
            value: the input without a token, UNDEFINED when there is none.
            token: with or without `Bearer` before it; "" when there is none.

        Raises:
            KeysNeededError: fetch the issuer's keys and ask again.
            IdentityError: no policy may decide for this caller.
        """
        if isinstance(value, dict) and IDENTITY_KEY in value:
            message = "input.identity is the agent's to set: send the caller's token instead"
            raise IdentityError("identity_reserved", message)
        scheme, _, rest = token.partition(" ")
        if scheme.lower() == _BEARER:
            token = rest.strip()
        if not token:
            if self._config.required:
                message = "the decision needs a token of the caller, and there is none"
                raise IdentityError("token_missing", message)
            return value, None
        caller = self._verifier.verify(token)
        if value is UNDEFINED:
            return {IDENTITY_KEY: caller.identity}, caller
        if not isinstance(value, dict):
            message = "the input must be an object to hold the caller's identity"
            raise IdentityError("identity_no_object", message)
        return {**value, IDENTITY_KEY: caller.identity}, caller


def open_callers(config: Identity) -> Callers:
    """Return what identifies callers as configured."""
    # Late: pyjwt and cryptography cost a cold start 50 ms of CPU.
    from policy_agent.decision.jwks import Clock, KeySet
    from policy_agent.decision.tokens import TokenVerifier

    clock = Clock()
    keys = {
        name: KeySet(
            issuer,
            refresh_seconds=config.jwks_refresh_seconds,
            retry_seconds=config.jwks_retry_seconds,
            clock=clock,
        )
        for name, issuer in config.issuers.items()
    }
    return Callers(config, keys, TokenVerifier(config, keys, clock.wall))
