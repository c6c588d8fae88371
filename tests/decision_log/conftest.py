"""A real log receiver on localhost, and the decisions and policies that the tests log."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from msgspec.structs import replace

from policy_agent.errors import EvaluationError
from policy_agent.model import UNDEFINED, Decision

HANG = "hang"
CUT = "cut"


@dataclass
class Upload:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes
    events: list[Any]
    accepted: bool


@dataclass
class Receiver:
    """What arrived so far, and what to answer next: a status, or `hang`, or `cut`."""

    url: str = ""
    answer: Callable[[list[Any], bytes], int | str] = field(default=lambda events, body: 200)
    uploads: list[Upload] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    arrived: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def accepted(self) -> list[Any]:
        """Every event of the batches that were answered with 2xx, in order of arrival."""
        return [event for upload in self.uploads if upload.accepted for event in upload.events]

    @property
    def numbers(self) -> list[int]:
        """`n` of every accepted event."""
        return [event["n"] for event in self.accepted]


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    receiver: Receiver


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        receiver = self.server.receiver
        with receiver.lock:
            receiver.in_flight += 1
            receiver.most_in_flight = max(receiver.most_in_flight, receiver.in_flight)
        try:
            answer = self._take(receiver)
        finally:
            # Before the answer, upon which the next request may come.
            with receiver.lock:
                receiver.in_flight -= 1
        if isinstance(answer, str):
            self.close_connection = True
            return
        self.send_response(answer)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _take(self, receiver: Receiver) -> int | str:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        events = json.loads(gzip.decompress(body))
        answer = receiver.answer(events, body)
        accepted = isinstance(answer, int) and answer // 100 == 2
        upload = Upload(self.path, dict(self.headers), body, events, accepted)
        receiver.uploads.append(upload)
        receiver.arrived.set()
        if answer == HANG:
            receiver.released.wait(20)
        return answer

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the test output clean."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Return a running receiver that accepts everything until told otherwise."""
    state = Receiver()
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.receiver = state
        state.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield state
        finally:
            state.released.set()
            server.shutdown()
            thread.join()


DECISION = Decision(
    decision_id="01a1fd2d-ef9a-7c6a-83fe-cb0b153ca6b1",
    path="authz/allow",
    input={"user": "alice", "password": "hunter2"},
    result={"allow": True, "token": "t0p"},
    error=None,
    revisions={"authz": "rev-1"},
    timestamp_ns=1_795_239_598_758_280_075,
    metrics={"timer_rego_query_eval_ns": 47945},
    requested_by="127.0.0.1:58834",
)


@pytest.fixture
def decide() -> Callable[..., Decision]:
    """Return a function that makes a decision with some fields changed."""
    return lambda **changes: replace(DECISION, **changes)


class TablePolicy:
    """An evaluator over a table: path -> value, an exception to raise, or a function of input."""

    def __init__(self, table: dict[str, Any], *, rules: frozenset[str] | None = None) -> None:
        self._table = table
        self.rules = frozenset(table) if rules is None else rules
        self.asked: list[tuple[Any, Any]] = []

    def evaluate(self, path: Any, input: Any = UNDEFINED) -> Any:
        """Look the path up."""
        self.asked.append((path, input))
        value = self._table.get(path, UNDEFINED)
        if isinstance(value, EvaluationError):
            raise value
        return value(input) if callable(value) else value

    def close(self) -> None:
        """Hold nothing."""


@pytest.fixture
def policy_of() -> type[TablePolicy]:
    """Return the class of table policies."""
    return TablePolicy
