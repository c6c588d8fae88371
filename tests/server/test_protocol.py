"""HTTP/1.1 on a real socket, byte by byte where that matters."""

import asyncio
import contextlib
import gc
import itertools
import socket
import struct
import threading
import time

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policy_agent.garbage import uncollected
from policy_agent.server.protocol import HEAD_SECONDS, MAX_OWED, Connections, HttpProtocol
from policy_agent.server.serve import serving
from policy_agent.server.wire import Answer

MAX_BODY = 1000


class Echo:
    """Answers with what it was asked; `/later` waits to be let go, `/big` answers at length."""

    max_body_bytes = MAX_BODY

    def __init__(self) -> None:
        self.requests = []
        self.gate: asyncio.Event

    def respond(self, request):
        self.requests.append(request)
        if request.target == b"/later":
            return self._later(request)
        if request.target == b"/fails":
            return self._fail()
        if request.target == b"/big":
            return Answer(200, b"x" * (1 << 20))
        if request.target == b"/empty":
            return Answer(204)
        return Answer(200, request.target + b" " + request.body, ((b"x-method", b"m"),))

    async def _later(self, request):
        await self.gate.wait()
        return Answer(200, b"later")

    async def _fail(self):
        await asyncio.sleep(0)
        raise RuntimeError("on purpose")

    def too_large(self, announced):
        return Answer(400, b"too large: %s" % str(announced).encode())


class Served:
    """A server in a thread."""

    def __init__(self) -> None:
        self.echo = Echo()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop: asyncio.Event
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    async def _serve(self):
        self._stop = asyncio.Event()
        self.echo.gate = asyncio.Event()
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        async with serving(self.echo, [listener]):
            self._ready.set()
            await self._stop.wait()

    def __enter__(self):
        self._thread.start()
        self._ready.wait(5)
        return self

    def __exit__(self, *_):
        self.open_gate()
        self.stop()
        self._thread.join()
        self._loop.close()

    def open_gate(self):
        self._loop.call_soon_threadsafe(self.echo.gate.set)

    def stop(self):
        self._loop.call_soon_threadsafe(self._stop.set)

    def is_stopped(self, timeout):
        self._thread.join(timeout)
        return not self._thread.is_alive()

    @contextlib.contextmanager
    def connected(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as client:
            yield client


@pytest.fixture
def served():
    with Served() as served:
        yield served


def receive(client, count=1):
    """Return `count` answers as (status, headers, body)."""
    raw, answers = b"", []
    while len(answers) < count:
        while b"\r\n\r\n" not in raw:
            raw += read(client)
        head, _, raw = raw.partition(b"\r\n\r\n")
        status_line, *lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        length = int(headers.get("content-length", 0))
        while len(raw) < length:
            raw += read(client)
        answers.append((int(status_line.split(" ")[1]), headers, raw[:length]))
        raw = raw[length:]
    assert raw == b""
    return answers


def read(client):
    data = client.recv(1 << 16)
    assert data, "closed"
    return data


def is_closed(client):
    return client.recv(1) == b""


def test_a_connection_serves_one_request_after_another(served):
    with served.connected() as client:
        for number in range(3):
            body = b"n%d" % number
            client.sendall(b"POST /a HTTP/1.1\r\nX-A: 1\r\nContent-Length: 2\r\n\r\n" + body)
            [(status, headers, content)] = receive(client)
            assert (status, content) == (200, b"/a " + body)
            assert headers["x-method"] == "m"
            assert headers["date"].endswith(" GMT")
            assert "connection" not in headers
        host, port = client.getsockname()
    request = served.echo.requests[0]
    assert request.method == "POST"
    assert request.headers == [(b"x-a", b"1"), (b"content-length", b"2")]
    assert request.client == f"{host}:{port}"


def test_requests_in_one_piece_are_answered_in_order(served):
    with served.connected() as client:
        client.sendall(b"".join(b"GET /%d HTTP/1.1\r\n\r\n" % n for n in range(100)))
        assert [body for _, _, body in receive(client, 100)] == [b"/%d " % n for n in range(100)]


def test_an_answer_that_takes_longer_holds_those_behind_it(served):
    count = MAX_OWED + 20
    with served.connected() as client:
        client.sendall(b"GET /later HTTP/1.1\r\n\r\n" + b"GET /a HTTP/1.1\r\n\r\n" * count)
        with served.connected() as other:
            other.sendall(b"GET /b HTTP/1.1\r\n\r\n")
            receive(other)
        served.open_gate()
        bodies = [body for _, _, body in receive(client, count + 1)]
        assert bodies == [b"later"] + [b"/a "] * count
        client.sendall(b"GET /c HTTP/1.1\r\n\r\n")
        receive(client)


def test_a_body_may_come_in_chunks_and_with_trailers(served):
    with served.connected() as client:
        client.sendall(
            b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTrailer: x-secret\r\n\r\n"
            b"3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nX-Secret: forged\r\n\r\n"
        )
        assert receive(client)[0][2] == b"/a abcde"
        names = [name for name, _ in served.echo.requests[0].headers]
        assert names == [b"transfer-encoding", b"trailer"]


def test_whoever_waits_to_be_asked_for_the_body_is_asked(served):
    with served.connected() as client:
        client.sendall(b"POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert read(client) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"ab")
        assert receive(client)[0][2] == b"/a ab"


@pytest.mark.parametrize(
    ("head", "told"),
    [
        pytest.param(b"Content-Length: 1001\r\n\r\n", b"1001", id="announced"),
        pytest.param(
            b"Expect: 100-continue\r\nContent-Length: 1001\r\n\r\n", b"1001", id="not asked for"
        ),
        pytest.param(
            b"Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001 + b"\r\n", b"None",
            id="in chunks",
        ),
    ],
)  # fmt: skip
def test_a_body_over_the_limit_is_not_read(served, head, told):
    with served.connected() as client:
        client.sendall(b"POST /a HTTP/1.1\r\n" + head)
        [(status, headers, body)] = receive(client)
        assert (status, headers["connection"], body) == (400, "close", b"too large: " + told)
        assert is_closed(client)
    assert served.echo.requests == []


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"\x16\x03\x01\x02\x00", id="TLS"),
        pytest.param(b"GET\r\n\r\n", id="no target"),
        pytest.param(b"GET / HTTP/9.9\r\n\r\n", id="version"),
        pytest.param(b"GET / HTTP/1.1\r\nA b: 1\r\n\r\n", id="header name"),
        pytest.param(b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", id="length"),
        pytest.param(
            b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            id="two lengths",
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", id="lengths"
        ),
        pytest.param(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", id="chunk"),
    ],
)
def test_what_is_not_http_is_refused_and_the_connection_ends(served, raw):
    with served.connected() as client:
        client.sendall(raw)
        [(status, headers, body)] = receive(client)
        assert (status, headers["connection"], body) == (400, "close", b"400 Bad Request")
        assert is_closed(client)
    assert served.echo.requests == []


def test_an_endless_head_is_refused(served):
    with served.connected() as client, contextlib.suppress(ConnectionError):
        client.sendall(b"GET /" + b"x" * (1 << 16))
        for _ in range(40):
            client.sendall(b"x" * (1 << 15))
        assert receive(client)[0][0] == 431
    assert served.echo.requests == []


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"HTTP/1.0\r\n", id="HTTP/1.0"),
        pytest.param(b"HTTP/1.1\r\nConnection: close\r\n", id="close"),
    ],
)
def test_a_last_request_is_the_last(served, head):
    with served.connected() as client:
        client.sendall(b"GET /a %b\r\nGET /b HTTP/1.1\r\n\r\n" % head)
        [(_, headers, body)] = receive(client)
        assert (headers["connection"], body) == ("close", b"/a ")
        assert is_closed(client)
    assert len(served.echo.requests) == 1


def test_no_other_protocol_is_spoken(served):
    with served.connected() as client:
        upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
        client.sendall(b"GET /a HTTP/1.1\r\n" + upgrade + b"\r\n\x81\x00")
        assert receive(client)[0][2] == b"/a "
        assert is_closed(client)


def test_some_answers_have_no_body(served):
    with served.connected() as client:
        client.sendall(b"HEAD /a HTTP/1.1\r\n\r\n")
        head = read(client)
        assert b"content-length: 3\r\n" in head
        assert head.endswith(b"\r\n\r\n")
        client.sendall(b"GET /empty HTTP/1.1\r\n\r\n")
        [(status, headers, _)] = receive(client)
        assert (status, "content-length" in headers) == (204, False)


def test_a_client_that_sends_no_more_still_gets_its_answers(served):
    with served.connected() as client:
        client.sendall(b"GET /later HTTP/1.1\r\n\r\nGET /a HTTP/1.1\r\n\r\nGET /cut")
        client.shutdown(socket.SHUT_WR)
        served.open_gate()
        assert [body for _, _, body in receive(client, 2)] == [b"later", b"/a "]
        assert is_closed(client)


def test_answers_nobody_takes_stop_the_reading(served):
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(5)
        client.connect(("127.0.0.1", served.port))
        count = 40
        client.sendall(b"GET /big HTTP/1.1\r\n\r\n" * count)
        with served.connected() as other:
            other.sendall(b"GET /b HTTP/1.1\r\n\r\n")
            receive(other)
        assert len(served.echo.requests) < count / 2
        assert all(len(body) == 1 << 20 for _, _, body in receive(client, count))


def test_a_failure_ends_its_connection_and_no_other(served, caplog):
    with served.connected() as client, served.connected() as other:
        client.sendall(b"GET /fails HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert is_closed(client)
        other.sendall(b"GET /b HTTP/1.1\r\n\r\n")
        receive(other)
    assert "A request failed unexpectedly" in caplog.text


def test_at_the_end_what_was_asked_is_answered(served):
    with served.connected() as busy, served.connected() as idle, served.connected() as half:
        half.sendall(b"GET /b HTTP/1.1\r\n\r\n")
        receive(half)
        busy.sendall(b"GET /later HTTP/1.1\r\n\r\n")
        half.sendall(b"POST /a HTTP/1.1\r\nContent-Length: 2\r\n\r\na")
        idle.sendall(b"GET /b HTTP/1.1\r\n\r\n")
        receive(idle)
        while len(served.echo.requests) < 3:
            time.sleep(0.001)
        served.stop()
        assert is_closed(idle)
        with pytest.raises(ConnectionError), served.connected():
            pass
        half.sendall(b"b")
        [(_, headers, body)] = receive(half)
        assert (headers["connection"], body) == ("close", b"/a ab")
        served.open_gate()
        [(_, headers, body)] = receive(busy)
        assert (headers["connection"], body) == ("close", b"later")
        assert served.is_stopped(5)


def test_a_client_that_is_gone_is_forgotten(served):
    with served.connected() as client:
        client.sendall(b"GET /later HTTP/1.1\r\n\r\n")
        while not served.echo.requests:
            time.sleep(0.001)
    served.open_gate()
    served.stop()
    assert served.is_stopped(5)


STREAM = (
    b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
    b"POST /b HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"
    b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    b"GET /d HTTP/1.1\r\nConnection: close\r\n\r\n"
)


@pytest.fixture(scope="module")
def shared():
    with Served() as served:
        yield served


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cuts=st.lists(st.integers(1, len(STREAM) - 1), max_size=8))
def test_it_does_not_matter_where_the_pieces_are_cut(shared, cuts):
    with shared.connected() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        edges = [0, *sorted(set(cuts)), len(STREAM)]
        for start, end in itertools.pairwise(edges):
            client.sendall(STREAM[start:end])
        bodies = [body for _, _, body in receive(client, 4)]
    assert bodies == [b"/a ", b"/b hello", b"/c abc", b"/d "]


@settings(max_examples=60, deadline=None)
@given(position=st.integers(0, len(STREAM) - 1), byte=st.integers(0, 255))
def test_a_damaged_stream_never_harms_the_server(shared, position, byte):
    damaged = STREAM[:position] + bytes([byte]) + STREAM[position + 1 :]
    with shared.connected() as client:
        client.sendall(damaged)
        client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            while client.recv(1 << 16):
                pass
    with shared.connected() as client:
        client.sendall(b"GET /fine HTTP/1.1\r\n\r\n")
        assert receive(client)[0][2] == b"/fine "


class Recorded(asyncio.Transport):
    """A transport that only notes whether it was aborted."""

    def __init__(self) -> None:
        super().__init__()
        self.is_aborted = False
        self.written = b""

    def write(self, data):
        self.written += data

    def is_closing(self):
        return self.is_aborted

    def abort(self):
        self.is_aborted = True


@pytest.fixture
def connect():
    connections = Connections()

    def connect(data=b""):
        connection, transport = HttpProtocol(Echo(), connections), Recorded()
        connection.connection_made(transport)
        if data:
            connection.data_received(data)
        return connection, transport

    return connections, connect


REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize("data", [b"", b"GET / HT", REQUEST + b"GET", REQUEST[:-2]])
def test_a_request_may_not_begin_for_ever(connect, data):
    connections, open_connection = connect
    _, transport = open_connection(data)
    connections.close_overdue(100)
    connections.close_overdue(100 + HEAD_SECONDS - 1)
    assert not transport.is_aborted
    connections.close_overdue(100 + HEAD_SECONDS)
    assert transport.is_aborted


def test_a_head_is_timed_from_its_own_beginning(connect):
    connections, open_connection = connect
    connection, transport = open_connection(b"GET")
    connections.close_overdue(100)
    connection.data_received(b" / HTTP/1.1\r\n\r\nGET")
    connections.close_overdue(100 + HEAD_SECONDS)
    assert not transport.is_aborted
    connections.close_overdue(100 + 2 * HEAD_SECONDS)
    assert transport.is_aborted


@pytest.mark.parametrize("data", [REQUEST, b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nab"])
def test_a_connection_may_be_idle_and_a_body_slow(connect, data):
    connections, open_connection = connect
    _, transport = open_connection(data)
    for seconds in (0, 1000, 2000):
        connections.close_overdue(seconds)
    assert not transport.is_aborted


def test_hundreds_of_connections_that_do_nothing_hold_nobody_up(served):
    with contextlib.ExitStack() as stack:
        for number in range(300):
            client = stack.enter_context(served.connected())
            # Some say nothing, some begin, some stop in the body, some are idle.
            begun = (b"", b"GET / HT", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nab", REQUEST)
            client.sendall(begun[number % 4])
            if number % 5 == 0:
                linger = struct.pack("ii", 1, 0)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                client.close()  # with a reset
        with served.connected() as client:
            client.sendall(b"GET /here HTTP/1.1\r\n\r\n")
            [(status, _, body)] = receive(client)
            assert (status, body) == (200, b"/here ")


def test_closed_connections_leave_nothing_to_the_garbage_collector():
    async def serve_and_count():
        listener = socket.create_server(("127.0.0.1", 0))
        async with serving(Echo(), [listener]):
            await ask_once(listener.getsockname()[1])  # what is made once
            gc.collect()
            with uncollected():
                for _ in range(20):
                    await ask_once(listener.getsockname()[1])
                await asyncio.sleep(0.05)
                return sum(isinstance(each, HttpProtocol) for each in gc.get_objects())

    async def ask_once(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /a HTTP/1.1\r\nConnection: close\r\n\r\n")
        await reader.read()
        writer.close()
        await writer.wait_closed()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(serve_and_count()) == 0
