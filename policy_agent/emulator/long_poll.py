"""One process's blocking `next` call."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

_Message = TypeVar("_Message")


class LongPoll(Generic[_Message]):
    """Hands one message at a time to whoever calls `wait`; a message sent early is kept."""

    def __init__(self) -> None:
        self._waiter: asyncio.Future[_Message | None] | None = None
        self._mail: _Message | None = None
        self._closed = False

    @property
    def has_mail(self) -> bool:
        """Whether a message waits for the next call."""
        return self._mail is not None

    async def wait(self) -> _Message | None:
        """Return the next message, None once the poll is closed."""
        if self._mail is not None:
            message, self._mail = self._mail, None
            return message
        if self._closed:
            return None
        self._waiter = asyncio.get_running_loop().create_future()
        return await self._waiter

    def deliver(self, message: _Message) -> None:
        """Answer the waiting call, or the next one."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(message)
        else:
            self._mail = message

    def close(self) -> None:
        """Answer the waiting call and all later ones with None."""
        self._closed = True
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
