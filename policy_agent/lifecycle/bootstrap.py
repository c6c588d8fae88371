"""The first milliseconds of the extension: listen, register, and only then import the agent.

Lambda starts the function's runtime once every extension has registered, so nothing heavy may come
before that; a function that calls during its own static initialisation waits in the backlog of the
port that is already open. Touches sockets and the environment, and imports only what the
interpreter has loaded anyway: `_socket` instead of `socket` saves 7 ms of CPU here.

Protocol: Extensions API 2020-01-01.
"""

from __future__ import annotations

import _socket
import os
import sys
import time

API_VARIABLE = "AWS_LAMBDA_RUNTIME_API"
ADDRESS_VARIABLE = "POLICY_AGENT_ADDR"
DEFAULT_ADDRESS = "127.0.0.1:8181"
BACKLOG = 512
EXTENSION_PATH = "/2020-01-01/extension"
_READ_BYTES = 65536


class Registration:
    """What Lambda answered to register.

    Attributes:
        events: what we will be told of; Managed Instances allow SHUTDOWN only.
        function: the answer's body, JSON text with functionName, functionVersion and handler.
        started_ns: when the process began, on the monotonic clock.
        register_ms: from then to the answer.
    """

    started_ns = 0
    register_ms = 0.0

    def __init__(self, api: str, identifier: str, events: tuple[str, ...], function: bytes) -> None:
        self.api = api
        self.identifier = identifier
        self.events = events
        self.function = function


class RefusedError(Exception):
    """Lambda refused to register this extension; there is nothing left to do but say so."""


def main(name: str) -> int:
    """Run the agent as the extension called `name`, the basename of its file."""
    # Nothing tells when the process began to better than 10 ms; until here it has only worked.
    started_ns = time.monotonic_ns() - time.process_time_ns()
    api = os.environ[API_VARIABLE]
    listener = listen(os.environ.get(ADDRESS_VARIABLE, DEFAULT_ADDRESS))
    registration = register(api, name)
    registration.started_ns = started_ns
    registration.register_ms = (time.monotonic_ns() - started_ns) / 1e6
    try:
        import gc

        from policy_agent.lifecycle.lean_imports import import_event_loop

        # Next to nothing of what Init makes is garbage: looking for it is a twentieth of Init.
        gc.disable()
        import_event_loop()
        from policy_agent import extension

        return extension.run(registration, listener)
    except BaseException as exc:
        if isinstance(exc, SystemExit):
            raise
        print(f"policy-agent: {exc!r}; decisions are unavailable", file=sys.stderr)  # noqa: T201
        if listener is not None:
            listener.close()
        return idle(registration)


def listen(address: str) -> _socket.socket | None:
    """Bind and listen on `host:port`, OPA's `--addr`; an empty host means every interface.

    Returns:
        None when that is impossible, which the agent reports.
    """
    host, _, port = address.rpartition(":")
    host = {"": "0.0.0.0", "localhost": "127.0.0.1"}.get(host, host.strip("[]"))  # noqa: S104
    family = _socket.AF_INET6 if ":" in host else _socket.AF_INET
    # With the protocol named, event loops see a TCP socket and turn Nagle's delay off.
    kind = _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC
    listener = _socket.socket(family, kind, _socket.IPPROTO_TCP)
    try:
        listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        listener.bind((host, int(port)))
        listener.listen(BACKLOG)
    except (OSError, ValueError):
        listener.close()
        return None
    return listener


def register(api: str, name: str) -> Registration:
    """Register for INVOKE and SHUTDOWN, or for SHUTDOWN alone where Lambda allows no more.

    Raises:
        RefusedError: Lambda said no to both.
    """
    for events in (("INVOKE", "SHUTDOWN"), ("SHUTDOWN",)):
        body = b'{"events":["' + '","'.join(events).encode() + b'"]}'
        status, headers, answer = exchange(
            api,
            "POST",
            f"{EXTENSION_PATH}/register",
            {"Lambda-Extension-Name": name, "Lambda-Extension-Accept-Feature": "accountId"},
            body,
        )
        if status == 200:
            identifier = headers["lambda-extension-identifier"]
            return Registration(api, identifier, events, answer)
    raise RefusedError(f"register was refused with {status}: {answer.decode('utf-8', 'replace')}")


def idle(registration: Registration) -> int:
    """Keep asking for the next event and do nothing with it, so that invocations go on."""
    headers = {"Lambda-Extension-Identifier": registration.identifier}
    while True:
        status, _, event = exchange(
            registration.api, "GET", f"{EXTENSION_PATH}/event/next", headers
        )
        if status != 200 or b'"SHUTDOWN"' in event:
            return 0


def exchange(
    api: str, method: str, path: str, headers: dict[str, str], body: bytes = b""
) -> tuple[int, dict[str, str], bytes]:
    """Send one request to the runtime API and wait for its answer, however long it takes.

    Returns:
        status, headers by lower-case name, body.
    """
    host, _, port = api.partition(":")
    lines = [f"{method} {path} HTTP/1.0", f"Host: {api}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    connection = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        connection.connect((host, int(port or 80)))
        connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        answer = b""
        while chunk := connection.recv(_READ_BYTES):
            answer += chunk
            if _is_whole(answer):
                break
    finally:
        connection.close()
    return _parse(answer)


def _is_whole(answer: bytes) -> bool:
    head, separator, body = answer.partition(b"\r\n\r\n")
    if not separator:
        return False
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return len(body) >= int(value)
    return False


def _parse(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return int(status_line.split(" ")[1]), headers, body
