"""S3 in a server that checks every signature and in moto, Firehose in moto."""

from __future__ import annotations

import asyncio
import gzip
import json
import re

import pytest

from policy_agent.config import DecisionLogs, LogSink, Service
from policy_agent.config.aws import AwsSigning, EnvironmentCredentials
from policy_agent.decision_log.batch import Batch
from policy_agent.decision_log.log import DecisionLog
from policy_agent.decision_log.sinks.firehose import FirehoseSink
from policy_agent.decision_log.sinks.s3 import S3Sink
from policy_agent.errors import ShipError
from policy_agent.service import ServiceClient
from tests.real_servers import moto, use_aws_keys, versitygw
from tests.support import http_server, reply

ACCESS_KEY, SECRET_KEY = "AKIALOGS", "s3cret/+key"
LABELS = {"id": "1", "function": "orders"}
EVENT = b'{"decision_id":"d","timestamp":"2026-11-27T23:59:59.999999999Z"}'
BATCH = Batch("00017-1-aa-0-90", gzip.compress(EVENT + b"\n"), EVENT)


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    with moto(tmp_path_factory.mktemp("moto")) as url:
        yield url


@pytest.fixture(scope="module", params=["versitygw", "moto"])
def s3(request, tmp_path_factory):
    if request.param == "moto":
        yield request.getfixturevalue("aws")
        return
    with versitygw(tmp_path_factory.mktemp("s3"), ACCESS_KEY, SECRET_KEY) as url:
        yield url


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    use_aws_keys(monkeypatch, ACCESS_KEY, SECRET_KEY)


def service_of(url, service="s3"):
    return Service("aws", url, credentials=AwsSigning((EnvironmentCredentials(),), service))


def ask(url, method, resource, **request):
    client = ServiceClient(service_of(url, request.pop("service", "s3")))
    return asyncio.run(client.request(method, resource, max_bytes=1 << 24, **request))


def keys_in(url, bucket):
    listing = ask(url, "GET", f"{bucket}/").body.decode()
    return re.findall("<Key>(.*?)</Key>", listing)


def lines_of(body):
    return [json.loads(line) for line in body.splitlines()]


def sending(sink, batch=BATCH):
    asyncio.run(sink.send(batch, 10))


def test_decisions_become_objects_by_hour_and_function(s3, tmp_path, decide, policy_of):
    ask(s3, "PUT", "shipped")
    sink = LogSink("s3", service_of(f"{s3}/shipped"), "audit/log")
    decision_log = DecisionLog(DecisionLogs(None, sinks={"archive": sink}), LABELS, tmp_path)
    for _ in range(3):
        decision_log.record(decide(), policy_of({}))
    report = asyncio.run(decision_log.flush(10))
    decision_log.close()
    assert (report.shipped, report.left, report.error) == (3, 0, None)
    (key,) = keys_in(s3, "shipped")
    assert re.fullmatch(
        r"audit/log/dt=2026-11-21/hour=05/function=orders/[0-9]+-[0-9]+-[0-9a-f]+-0-[0-9]+\.json\.gz",
        key,
    )
    events = lines_of(gzip.decompress(ask(s3, "GET", f"shipped/{key}").body))
    assert [event["custom"]["audit"]["seq"] for event in events] == [1, 2, 3]


def test_a_batch_that_is_there_already_is_accepted_and_stays_as_it_is(s3):
    ask(s3, "PUT", "twice")
    sink = S3Sink(ServiceClient(service_of(f"{s3}/twice")), "", LABELS)
    sending(sink)
    sending(sink, Batch(BATCH.id, b"other", EVENT))
    key = f"dt=2026-11-27/hour=23/function=orders/{BATCH.id}.json.gz"
    assert keys_in(s3, "twice") == [key]
    assert ask(s3, "GET", f"twice/{key}").body == BATCH.body


def test_a_bucket_that_is_not_there_keeps_the_batch(s3):
    with pytest.raises(ShipError, match="404 Not Found") as caught:
        sending(S3Sink(ServiceClient(service_of(f"{s3}/nowhere")), "x", LABELS))
    assert not caught.value.refuses_content


def test_a_wrong_key_keeps_the_batch(tmp_path, monkeypatch):
    with versitygw(tmp_path, ACCESS_KEY, SECRET_KEY) as url:
        ask(url, "PUT", "guarded")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "guess")
        with pytest.raises(ShipError, match="403 Forbidden") as caught:
            sending(S3Sink(ServiceClient(service_of(f"{url}/guarded")), "x", LABELS))
        assert not caught.value.refuses_content


def firehose(url, action, **parameters):
    headers = {"X-Amz-Target": f"Firehose_20150804.{action}",
               "Content-Type": "application/x-amz-json-1.1"}  # fmt: skip
    body = json.dumps(parameters).encode()
    return ask(url, "POST", "/", headers=headers, body=body, service="firehose")


def test_decisions_reach_a_delivery_stream(aws, tmp_path, decide, policy_of):
    ask(aws, "PUT", "delivered")
    role = "arn:aws:iam::123456789012:role/firehose"
    destination = {"RoleARN": role, "BucketARN": "arn:aws:s3:::delivered"}
    created = firehose(
        aws,
        "CreateDeliveryStream",
        DeliveryStreamName="decisions",
        ExtendedS3DestinationConfiguration=destination,
    )
    assert created.status == 200, created.body
    sink = LogSink("firehose", service_of(aws, "firehose"), "decisions", 1 << 20)
    decision_log = DecisionLog(DecisionLogs(None, sinks={"stream": sink}), LABELS, tmp_path)
    for _ in range(3):
        decision_log.record(decide(), policy_of({}))
    report = asyncio.run(decision_log.flush(10))
    decision_log.close()
    assert (report.shipped, report.left, report.error) == (3, 0, None)
    (key,) = keys_in(aws, "delivered")
    events = lines_of(ask(aws, "GET", f"delivered/{key}").body)
    assert [event["custom"]["audit"]["seq"] for event in events] == [1, 2, 3]


def test_a_stream_that_is_not_there_is_no_fault_of_the_batch(aws):
    sink = FirehoseSink(ServiceClient(service_of(aws, "firehose")), "nowhere")
    with pytest.raises(ShipError, match="400 Bad Request: ResourceNotFoundException") as caught:
        sending(sink, Batch("b", EVENT + b"\n", EVENT))
    assert not caught.value.refuses_content


@pytest.mark.parametrize(
    ("status", "answer", "refuses_content"),
    [
        pytest.param(200, {"FailedPutCount": 1}, False, id="the record failed"),
        pytest.param(200, [], False, id="an answer that is none"),
        pytest.param(400, {"__type": "ServiceUnavailableException"}, False, id="throttled"),
        pytest.param(400, {"__type": "x#InvalidArgumentException"}, True, id="bad record"),
        pytest.param(413, {}, True, id="too large"),
    ],
)
def test_what_firehose_answers_tells_whose_fault_it_is(status, answer, refuses_content):
    def handle(request, body):
        reply(request, status, json.dumps(answer).encode())

    with http_server(handle) as url:
        sink = FirehoseSink(ServiceClient(Service("f", url)), "s")
        with pytest.raises(ShipError) as caught:
            sending(sink, Batch("b", EVENT, EVENT))
    assert caught.value.refuses_content is refuses_content
