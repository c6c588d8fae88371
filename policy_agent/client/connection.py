"""One keep-alive connection per thread to the agent on localhost."""

from __future__ import annotations

import os
import socket
import threading

from policy_agent.client import port_token, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_UNAUTHORIZED = 401


class UnreachableError(Exception):
    """No whole answer came back; the text says from where and why."""


class _Kept(threading.local):
    socket: socket.socket | None = None


_kept = _Kept()


def _forget_in_child() -> None:
    # Two processes on one connection would get each other's decisions.
    _kept.socket = None
    port_token.forget()


os.register_at_fork(after_in_child=_forget_in_child)


def post(path: str, body: Any, headers: Mapping[str, str]) -> wire.Answer:
    """Send one JSON request and return the answer.

    A connection that was kept across a freeze may have died with it. A request that gets not one
    byte back on such a connection is sent once more, on a new one; nothing else is sent twice.

    Raises:
        UnreachableError: no agent listens, or no whole answer came in time.
    """
    answer = _send(wire.request(path, body, {**port_token.headers(), **headers}))
    if answer.status == _UNAUTHORIZED:
        old = port_token.headers()
        port_token.reread()
        if port_token.headers() != old:
            answer = _send(wire.request(path, body, {**port_token.headers(), **headers}))
    return answer


def close() -> None:
    """Close this thread's connection."""
    if _kept.socket is not None:
        _kept.socket.close()
        _kept.socket = None


def _send(request: bytes) -> wire.Answer:
    kept = _kept.socket
    if kept is not None:
        reader = wire.Reader()
        try:
            return _exchange(kept, request, reader)
        except (OSError, wire.MalformedAnswerError) as exc:
            close()
            if reader.has_begun or isinstance(exc, TimeoutError):
                raise UnreachableError(_sentence(exc)) from exc
    try:
        _kept.socket = fresh = socket.create_connection(wire.address(), wire.TIMEOUT_SECONDS)
        fresh.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return _exchange(fresh, request, wire.Reader())
    except (OSError, ValueError, wire.MalformedAnswerError) as exc:
        close()
        raise UnreachableError(_sentence(exc)) from exc


def _exchange(connection: socket.socket, request: bytes, reader: wire.Reader) -> wire.Answer:
    connection.sendall(request)
    while (answer := reader.feed(connection.recv(wire.READ_BYTES))) is None:
        pass
    if answer.is_last:
        close()
    return answer


def _sentence(error: Exception) -> str:
    where = os.environ.get(wire.ADDRESS_VARIABLE) or wire.DEFAULT_ADDRESS
    return f"the policy agent at {where} cannot be reached: {error}"
