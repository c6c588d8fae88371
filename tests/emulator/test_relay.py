import asyncio

import pytest

from policy_agent.emulator.relay import Relay
from policy_agent.emulator.sandbox import LocalLambda

FUNCTION = """
    import os, socket
    host, port = os.environ["PEER"].split(":")
    connection = None
    def handler(event, context):
        global connection
        if connection is None or event.get("anew"):
            connection = socket.create_connection((host, int(port)), timeout=1)
        try:
            connection.sendall(b"ping")
            return connection.recv(16).decode() or "closed"
        except OSError as exc:
            return type(exc).__name__
    """


class Peer:
    """A server that answers each read with its number, and can close what is open."""

    def __init__(self):
        self.writers = []

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info):
        self._server.close()
        for writer in self.writers:
            writer.close()

    async def _serve(self, reader, writer):
        self.writers.append(writer)
        number = len(self.writers)
        try:
            while await reader.read(16):
                writer.write(b"from %d" % number)
        except ConnectionError:
            pass


@pytest.mark.parametrize(
    ("on_thaw", "expected"),
    [
        pytest.param("continue", "from 1", id="goes-on"),
        pytest.param("reset", "ConnectionResetError", id="is-reset"),
        pytest.param("silence", "TimeoutError", id="is-silent"),
    ],
)
def test_after_a_thaw_an_old_connection(bench, run, on_thaw, expected):
    bench.handler(FUNCTION)
    bench.extension("agent")

    async def scenario():
        async with Peer() as peer, Relay("127.0.0.1", peer.port, on_thaw=on_thaw) as relay:
            settings = bench.settings(environment={"PEER": relay.address}, relays=(relay,))
            async with LocalLambda(settings) as env:
                answers = []
                for event in ({}, {}, {"anew": True}):
                    invocation = await env.invoke(event)
                    await invocation.completed()
                    answers.append(invocation.response)
                return answers, relay.connections

    answers, connections = run(scenario())
    assert answers == ["from 1", expected, "from 2"]
    assert connections == 2


def test_while_frozen_the_peers_close_does_not_arrive(run):
    async def scenario():
        async with Peer() as peer, Relay("127.0.0.1", peer.port) as relay:
            host, port = relay.address.split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"x")
            assert await reader.read(16) == b"from 1"
            relay.freeze()
            writer.write(b"y")
            peer.writers[0].close()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(16), 0.1)
            relay.thaw()
            assert await reader.read(16) == b""
            writer.close()

    run(scenario())


def test_a_peer_that_is_not_there_ends_the_connection(run, unused_port):
    async def scenario():
        async with Relay("127.0.0.1", unused_port) as relay:
            host, port = relay.address.split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            assert await reader.read(16) == b""
            writer.close()

    run(scenario())
