"""Call the Extensions and Telemetry APIs from the event loop.

A connection per call and no proxy, whatever the function's environment says. `next` has no client
timeout: it may block for hours, across freezes. Protocols: Extensions API 2020-01-01, Telemetry API
2022-07-01.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httptools
import msgspec

from policy_agent.errors import ExtensionsApiError
from policy_agent.lifecycle.bootstrap import EXTENSION_PATH, Registration

TELEMETRY_PATH = "/2022-07-01/telemetry"
# The newest schema; Managed Instances accept no other, and on-demand accepts it too.
TELEMETRY_SCHEMA = "2025-01-29"
TELEMETRY_TIMEOUT_MS = 25  # the least allowed: runtimeDone is what an invocation waits for
_READ_BYTES = 65536


class Event(msgspec.Struct, frozen=True, rename="camel"):
    """One lifecycle event (Extensions API, `/event/next`).

    Attributes:
        deadline_ms: wall clock, milliseconds since the epoch.
        tracing: absent when the invocation has no trace header.
    """

    event_type: str
    deadline_ms: int = 0
    request_id: str = ""
    invoked_function_arn: str = ""
    shutdown_reason: str = ""
    tracing: dict[str, str] | None = None


class ExtensionsApi:
    """The calls of one registered extension."""

    def __init__(self, registration: Registration) -> None:
        self._host, _, port = registration.api.partition(":")
        self._port = int(port or 80)
        self._headers = {"Lambda-Extension-Identifier": registration.identifier}

    async def next(self) -> Event:
        """Wait for the next event; this also tells Lambda that we are done with the last one.

        Raises:
            ExtensionsApiError: Lambda refused; asking again will not help.
        """
        body = await self._call("GET", f"{EXTENSION_PATH}/event/next")
        try:
            return msgspec.json.decode(body, type=Event)
        except msgspec.DecodeError as exc:
            msg = "the next event is not what the Extensions API documents"
            raise ExtensionsApiError(msg) from exc

    async def subscribe(self, port: int) -> None:
        """Have platform telemetry posted to our listener on `port`.

        Raises:
            ExtensionsApiError: refused, or not supported here (202).
        """
        subscription = {
            "schemaVersion": TELEMETRY_SCHEMA,
            "types": ["platform"],
            "buffering": {
                "maxItems": 1000,
                "maxBytes": 262144,
                "timeoutMs": TELEMETRY_TIMEOUT_MS,
            },
            "destination": {"protocol": "HTTP", "URI": f"http://sandbox.localdomain:{port}"},
        }
        await self._call("PUT", TELEMETRY_PATH, body=subscription, accepted=(200,))

    async def report(self, when: str, error: BaseException) -> None:
        """Report a failure that ends the extension.

        Args:
            when: `init` before the first `next`, else `exit`.

        Raises:
            ExtensionsApiError: Lambda refused the report.
        """
        kind = f"PolicyAgent.{type(error).__name__}"
        await self._call(
            "POST",
            f"{EXTENSION_PATH}/{when}/error",
            headers={"Lambda-Extension-Function-Error-Type": kind},
            body={"errorMessage": str(error), "errorType": kind, "stackTrace": []},
            accepted=(200, 202),
        )

    async def _call(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        accepted: tuple[int, ...] = (200,),
    ) -> bytes:
        content = b"" if body is None else msgspec.json.encode(body)
        lines = [
            f"{method} {path} HTTP/1.1",
            f"Host: {self._host}:{self._port}",
            "Content-Type: application/json",
            f"Content-Length: {len(content)}",
            "Connection: close",
        ]
        all_headers = {**self._headers, **(headers or {})}
        lines += [f"{name}: {value}" for name, value in all_headers.items()]
        raw = "\r\n".join([*lines, "", ""]).encode("latin-1") + content
        status, answer = await self._exchange(path, raw)
        if status not in accepted:
            raise _refusal(path, status, answer)
        return answer

    async def _exchange(self, path: str, raw: bytes) -> tuple[int, bytes]:
        try:
            reader, writer = await asyncio.open_connection(self._host, self._port)
            try:
                writer.write(raw)
                return await _read_answer(reader)
            finally:
                writer.close()
        except (OSError, httptools.HttpParserError) as exc:
            msg = f"{path}: no answer from the runtime API"
            raise ExtensionsApiError(msg) from exc


class _Collector:
    """Receives httptools' callbacks for one response."""

    def __init__(self) -> None:
        self.body = b""
        self.complete = False

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


async def _read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    collector = _Collector()
    parser = httptools.HttpResponseParser(collector)
    while not collector.complete:
        chunk = await reader.read(_READ_BYTES)
        if not chunk:
            raise ConnectionResetError
        parser.feed_data(chunk)
    return parser.get_status_code(), collector.body


def _refusal(path: str, status: int, answer: bytes) -> ExtensionsApiError:
    try:
        details = msgspec.json.decode(answer, type=dict[str, Any])
    except msgspec.DecodeError:
        details = {}
    error_type = str(details.get("errorType", ""))
    message = f"{path}: refused with {status} {error_type}".rstrip()
    return ExtensionsApiError(message, status=status, error_type=error_type)
