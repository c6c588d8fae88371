import asyncio
import contextlib

import httpx
import uvloop

from policy_agent.lifecycle.telemetry import FinishedRequests, TelemetryListener


def done(request_id):
    return {"type": "platform.runtimeDone", "record": {"requestId": request_id}}


def test_a_posted_runtime_done_wakes_the_one_who_waits():
    async def scenario():
        finished = FinishedRequests()
        listener = TelemetryListener(finished)
        port = await listener.start()
        waiting = asyncio.create_task(finished.wait("r-2", 5))
        async with httpx.AsyncClient() as client:
            for events in ([done("r-1")], [{"type": "platform.report"}, done("r-2")]):
                answer = await client.post(f"http://127.0.0.1:{port}/any", json=events)
                assert answer.status_code == 200
        assert await waiting
        assert await finished.wait("r-1", 0.01)
        assert not await finished.wait("r-3", 0.01)
        listener.close()

    uvloop.run(scenario())


def test_malformed_batches_are_ignored():
    async def scenario():
        finished = FinishedRequests()
        listener = TelemetryListener(finished)
        port = await listener.start()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            for content in (b"not json", b"{}", b'[1, {"type": "platform.runtimeDone"}]'):
                assert (await client.post("/", content=content)).status_code == 200
            with contextlib.suppress(httpx.HTTPError):
                answer = await client.post("/", content=b"x" * (5 << 20))
                assert answer.status_code == 413
            assert (await client.post("/", json=[done("r-1")])).status_code == 200
        assert await finished.wait("r-1", 1)
        listener.close()

    uvloop.run(scenario())


def test_bytes_that_are_not_http_end_only_their_connection():
    async def scenario():
        finished = FinishedRequests()
        listener = TelemetryListener(finished)
        port = await listener.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x00\x01\x02\r\n\r\n")
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        async with httpx.AsyncClient() as client:
            await client.post(f"http://127.0.0.1:{port}", json=[done("r-1")])
        assert await finished.wait("r-1", 1)
        listener.close()

    uvloop.run(scenario())
