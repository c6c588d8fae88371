from __future__ import annotations

import asyncio
import gzip

import pytest

from policy_agent.config import Service
from policy_agent.config.credentials import Bearer
from policy_agent.decision_log.batch import Batch
from policy_agent.decision_log.sinks.http import HttpSink
from policy_agent.errors import ShipError
from policy_agent.service import ServiceClient

BODY = gzip.compress(b'[{"n":1}]')


def send(url, *, resource="/logs", timeout_seconds=5.0, own_limit_seconds=10.0):
    service = Service(
        "r",
        url,
        credentials=Bearer(token="t0ken"),
        response_timeout_seconds=own_limit_seconds,
    )
    sink = HttpSink(ServiceClient(service), resource)
    asyncio.run(sink.send(Batch("b-1", BODY, b"{}"), timeout_seconds))


@pytest.mark.parametrize("status", [200, 202, 204])
def test_a_batch_is_posted_as_opa_posts_it(receiver, status):
    receiver.answer = lambda events, body: status
    send(receiver.url, resource="/logs/partition")
    (upload,) = receiver.uploads
    assert (upload.path, upload.events) == ("/logs/partition", [{"n": 1}])
    assert upload.headers["Content-Type"] == "application/json"
    assert upload.headers["Content-Encoding"] == "gzip"
    assert upload.headers["Content-Length"] == str(len(BODY))
    assert upload.headers["Authorization"] == "Bearer t0ken"
    assert upload.headers["Idempotency-Key"] == "b-1"


@pytest.mark.parametrize(
    ("status", "text"),
    [
        pytest.param(500, "500 Internal Server Error", id="500"),
        pytest.param(404, "404 Not Found", id="404"),
        pytest.param(304, "304 Not Modified", id="304"),
        pytest.param(799, "799 ", id="unknown"),
    ],
)
def test_any_other_status_is_an_error_in_opas_words(receiver, status, text):
    receiver.answer = lambda events, body: status
    with pytest.raises(ShipError) as caught:
        send(receiver.url)
    assert str(caught.value) == f"log upload failed, server replied with HTTP {text}"
    assert caught.value.http_code == status
    assert caught.value.code == "decision_log_error"


@pytest.mark.parametrize(
    ("timeout_seconds", "own_limit_seconds"),
    [pytest.param(0.1, 10, id="the caller's limit"), pytest.param(10, 0.1, id="the service's")],
)
def test_the_shorter_time_limit_holds(receiver, timeout_seconds, own_limit_seconds):
    receiver.answer = lambda events, body: "hang"
    with pytest.raises(ShipError, match=r"^log upload failed: .* within 0\.1 s$") as caught:
        send(receiver.url, timeout_seconds=timeout_seconds, own_limit_seconds=own_limit_seconds)
    assert caught.value.http_code is None
