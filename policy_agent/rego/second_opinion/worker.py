"""The child process: answer requests with regopy until the parent goes away.

Run as a script with the parent's `sys.path` as arguments, so that it starts without importing this
package. A message is a list of byte strings, each with its length before it; the first one is
the verb or the verdict. Requests arrive and answers leave on the socket at file descriptor 0.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import struct
import sys
import threading
from typing import Any

_LENGTH = struct.Struct(">I")


def pack(parts: list[bytes]) -> bytes:
    """Return one message: the length of what follows, then length and bytes of each part."""
    body = b"".join(_LENGTH.pack(len(part)) + part for part in parts)
    return _LENGTH.pack(len(body)) + body


def unpack(body: bytes) -> list[bytes]:
    """Return the parts of one message, given without its leading length."""
    parts: list[bytes] = []
    at = 0
    while at < len(body):
        (length,) = _LENGTH.unpack_from(body, at)
        parts.append(body[at + 4 : at + 4 + length])
        at += 4 + length
    return parts


def message_length(header: bytes) -> int:
    """Return how many bytes follow a message's first four."""
    (length,) = _LENGTH.unpack(header)
    return int(length)


class _Worker:
    """One interpreter with its modules, and the queries compiled against them."""

    def __init__(self) -> None:
        # Late: sys.path is set by `main`, and the parent imports this module for its messages.
        import regopy
        from regopy import rego_shared

        self._api = rego_shared
        self._refusal = rego_shared.RegoError
        self._interpreter = regopy.Interpreter()
        self._interpreter.log_level = regopy.LogLevel.NONE
        self._queries: dict[bytes, Any] = {}

    def answer(self, request: list[bytes]) -> list[bytes]:
        """Return `value` and what was asked for, `refused` and a text, or `failed` and why."""
        verb, *arguments = request
        try:
            match verb:
                case b"unknown":
                    return self._unknown(arguments)
                case b"load":
                    return self._load(arguments)
                case b"prepare":
                    return self._prepare(*arguments)
                case b"forget":
                    del self._queries[arguments[0]]
                    return [b"value"]
                case _:
                    return self._evaluate(*arguments)
        except self._refusal as exc:
            return [b"refused", str(exc).encode()]

    def _unknown(self, names: list[bytes]) -> list[bytes]:
        known = self._interpreter.is_builtin
        return [b"value", *(name for name in names if not known(name.decode()))]

    def _load(self, arguments: list[bytes]) -> list[bytes]:
        data, *sources = arguments
        refusals: list[str] = []
        self._interpreter.add_data_json(data.decode())
        for number, source in enumerate(sources):
            try:
                self._interpreter.add_module(f"m{number}", source.decode())
            except self._refusal as exc:
                refusals.append(str(exc))
        if refusals:
            return [b"refused", "\n".join(refusals).encode()]
        bundle = self._interpreter.build("x = data")
        return (
            [b"value"] if bundle.ok() else self._failure(self._api.rego_bundle_node(bundle._impl))
        )

    def _prepare(self, name: bytes, query: bytes) -> list[bytes]:
        bundle = self._interpreter.build(query.decode())
        if not bundle.ok():
            return self._failure(self._api.rego_bundle_node(bundle._impl))
        self._queries[name] = bundle
        return [b"value"]

    def _evaluate(self, name: bytes, term: bytes) -> list[bytes]:
        self._interpreter.set_input_term(term.decode())
        # Not Interpreter.query_bundle: its Output reads the JSON that the parent reads anyway.
        bundle = self._queries[name]
        output = self._api.rego_bundle_query(self._interpreter._impl, bundle._impl)
        try:
            if self._api.rego_output_ok(output):
                return [b"value", self._api.rego_output_string(output).encode()]
            return self._failure(self._api.rego_output_node(output))
        finally:
            self._api.rego_free_output(output)

    def _failure(self, node: Any) -> list[bytes]:
        """Return code and message of the first error below a node."""
        found: dict[Any, str] = {}
        pending = [node]
        while pending:
            current = pending.pop()
            kind = self._api.rego_node_type(current)
            if kind in {self._api.NodeKind.ErrorCode, self._api.NodeKind.ErrorMessage}:
                found[kind] = self._api.rego_node_value(current)
            size = self._api.rego_node_size(current)
            pending += (self._api.rego_node_get(current, index) for index in range(size))
        code = found.get(self._api.NodeKind.ErrorCode, "")
        message = found.get(self._api.NodeKind.ErrorMessage, "unknown error")
        return [b"failed", code.encode(), message.encode()]


def _isolate() -> None:
    """Take from the process what could outlive, leak from or disturb the parent."""
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, signal.SIG_IGN)
    # opa.runtime() shows the environment to policies, and there Lambda keeps credentials.
    os.environ.clear()
    # A core file would hold inputs.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    """End the process when the other end closes, even while regopy computes (without the GIL)."""
    poller = select.poll()
    poller.register(0, 0)
    poller.poll()
    os._exit(0)


def _receive(channel: socket.socket) -> list[bytes]:
    header = channel.recv(4, socket.MSG_WAITALL)
    if len(header) < 4:
        os._exit(0)
    return unpack(channel.recv(message_length(header), socket.MSG_WAITALL))


def main() -> None:
    """Serve requests for ever; the process ends when the parent closes its end."""
    sys.path[:] = sys.argv[1:]
    _isolate()
    channel = socket.socket(fileno=0)
    worker = _Worker()
    while True:
        channel.sendall(pack(worker.answer(_receive(channel))))


if __name__ == "__main__":
    main()
