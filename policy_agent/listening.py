"""Open the sockets of `policy-agent run`, by OPA's addresses (v1.22 v1/server/server.go).

`host:port`, `http://host:port`, `https://host:port`, `unix:///path` and `unix://@name` for Linux's
abstract sockets. Without a scheme it is HTTPS when there is a certificate.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from policy_agent.errors import ConfigError
from policy_agent.lifecycle import bootstrap

_UNIX: Final = "unix"


class Listener(Struct, frozen=True):
    """An open socket; `url` says where and how it is served."""

    sock: socket.socket
    url: str
    is_secure: bool


def open_listeners(
    addresses: Sequence[str], *, has_certificate: bool, unix_permissions: int
) -> list[Listener]:
    """Listen on every address.

    Args:
        has_certificate: whether HTTPS can be served.
        unix_permissions: of the files of Unix sockets, such as 0o755.

    Raises:
        ConfigError: an address is none, or cannot be had; nothing is left open.
    """
    listeners: list[Listener] = []
    try:
        for address in addresses:
            # One by one: those that are open must be known when the next one cannot be.
            listeners.append(_open(address, has_certificate, unix_permissions))  # noqa: PERF401
    except ConfigError:
        for listener in listeners:
            listener.sock.close()
        raise
    return listeners


def _open(address: str, has_certificate: bool, unix_permissions: int) -> Listener:
    scheme, separator, rest = address.rpartition("://")
    if not separator:
        scheme = "https" if has_certificate else "http"
    if scheme == _UNIX:
        return Listener(_open_unix(rest, unix_permissions), address, is_secure=False)
    if scheme not in ("http", "https"):
        raise ConfigError([f"--addr: {address} has a scheme other than http, https and unix"])
    if scheme == "https" and not has_certificate:
        raise ConfigError([f"--addr: {address} needs --tls-cert-file and --tls-private-key-file"])
    listener = bootstrap.listen(rest)
    if listener is None:
        raise ConfigError([f"--addr: cannot listen on {address}"])
    sock = socket.socket(fileno=listener.detach())
    host, port = sock.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return Listener(sock, f"{scheme}://{shown}:{port}", scheme == "https")


def _open_unix(path: str, permissions: int) -> socket.socket:
    is_abstract = path.startswith("@")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if not is_abstract:
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)
        sock.bind("\0" + path[1:] if is_abstract else path)
        if not is_abstract:
            os.chmod(path, permissions)
        sock.listen(bootstrap.BACKLOG)
    except OSError as exc:
        sock.close()
        raise ConfigError([f"--addr: cannot listen on unix://{path}: {exc.strerror}"]) from exc
    return sock
