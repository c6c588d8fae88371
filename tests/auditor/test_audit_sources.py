"""`audit verify`, `query` and `load` straight over what the sinks have written."""

from __future__ import annotations

import asyncio
import gzip
import json
import shutil
import time

import pytest

from policy_agent.cli import main
from policy_agent.config import DecisionLogs, LogSink, Service
from policy_agent.config.aws import AwsSigning, EnvironmentCredentials
from policy_agent.decision_log.ids import new_decision_id
from policy_agent.decision_log.log import DecisionLog
from policy_agent.model import Decision
from policy_agent.service import ServiceClient
from tests.real_servers import moto, use_aws_keys, versitygw
from tests.support import TableEvaluator

ACCESS_KEY, SECRET_KEY = "AKIAAUDIT", "s3cret/+key"
KEY = "secret"
OBJECTS = 1005  # more than one page of a listing


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    use_aws_keys(monkeypatch, ACCESS_KEY, SECRET_KEY)


@pytest.fixture(params=["versitygw", "moto"])
def endpoint(request, tmp_path):
    if request.param == "moto":
        with moto(tmp_path) as url:
            yield url
    else:
        with versitygw(tmp_path, ACCESS_KEY, SECRET_KEY) as url:
            yield url


@pytest.fixture
def audit(tmp_path, capsys):
    (tmp_path / "key").write_text(KEY)

    def run(command, *arguments):
        status = main(["audit", command, *map(str, arguments)])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def verify(audit, tmp_path):
    def run(*sources):
        arguments = ["--format", "json", "--audit-key-file", tmp_path / "key"]
        status, told, _ = audit("verify", *sources, *arguments)
        body = json.loads(told)
        found = [(each["kind"], each["first_seq"], each["last_seq"]) for each in body["findings"]]
        assert status == (1 if found else 0)
        return found, body["summary"]

    return run


def service_of(url):
    return Service("aws", url, credentials=AwsSigning((EnvironmentCredentials(),), "s3"))


def ask(url, method, resource, body=None):
    client = ServiceClient(service_of(url))
    return asyncio.run(client.request(method, resource, body=body, max_bytes=1 << 24))


def record(directory, sink, counts, **settings):
    """Record decisions through an agent's log, in as many batches as there are counts."""
    config = DecisionLogs(None, sinks={"x": sink}, audit_key=KEY, **settings)
    decision_log = DecisionLog(config, {"id": "1", "function": "orders"}, directory)
    for number, count in enumerate(counts):
        for _ in range(count):
            decision_log.record(
                Decision(new_decision_id(), "a", {}, True, None, {}, time.time_ns(), {}),
                TableEvaluator({}),
            )
        if number == len(counts) - 1:
            decision_log.close_stream()
        report = asyncio.run(decision_log.flush(10))
        assert (report.left, report.error) == (0, None)
    decision_log.close()


def test_a_bucket_is_verified_without_loading_it(endpoint, tmp_path, audit, verify):
    ask(endpoint, "PUT", "decisions")
    sink = LogSink("s3", service_of(f"{endpoint}/decisions"), "audit/log")
    record(tmp_path / "agent", sink, [3, 2, 4])
    there = ["s3://decisions/audit", "--endpoint-url", endpoint]
    found, summary = verify(*there)
    assert found == []
    assert (summary["events"], summary["streams"], summary["closed"]) == (10, 1, 1)
    assert audit("query", *there, "--count")[1] == "9\n"
    store = ["--dir", tmp_path / "store"]
    assert audit("load", *store, *there)[1].startswith("stored=9 closings=1 ")
    assert verify(*store)[0] == []

    listing = ask(endpoint, "GET", "decisions/").body.decode()
    second = sorted(listing.split("<Key>")[1:])[1].partition("<")[0]
    ask(endpoint, "DELETE", f"decisions/{second}")
    found, _ = verify(*there)
    assert found == [("gap", 4, 5)]


def test_objects_of_many_pages_and_odd_names_are_all_read(tmp_path, audit):
    with versitygw(tmp_path, ACCESS_KEY, SECRET_KEY) as url:
        bucket = tmp_path / "buckets" / "many"
        ask(url, "PUT", "many")
        folder = bucket / "p" / "function=a b+c%20d"
        folder.mkdir(parents=True)
        for number in range(OBJECTS):
            event = {"decision_id": f"d{number}", "timestamp": "2026-11-21T10:00:00Z"}
            (folder / f"{number}.json").write_text(json.dumps(event) + "\n")
        (bucket / "elsewhere.json").write_text("{}")
        there = ["s3://many/p/", "--endpoint-url", url]
        assert audit("query", *there, "--count")[:2] == (0, f"{OBJECTS}\n")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("s3://nowhere/x", "s3://nowhere: 404"),
        ("s3://", "names no bucket"),
    ],
)
def test_a_bucket_that_cannot_be_read_is_an_error_and_no_finding(tmp_path, audit, source, reason):
    with versitygw(tmp_path, ACCESS_KEY, SECRET_KEY) as url:
        status, told, error = audit("verify", source, "--endpoint-url", url)
    assert (status, told) == (1, "")
    assert reason in error


@pytest.fixture
def lines(tmp_path):
    """The lines of a file that a log has written: nine decisions and the closing record."""
    path = tmp_path / "sink" / "decisions.jsonl"
    record(tmp_path / "agent", LogSink("file", target=str(path)), [4, 5])
    return path.read_bytes().splitlines(keepends=True)


def altered(line):
    return line.replace(b'"result":true', b'"result":false')


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(lambda a: [b"".join(a)], [], id="nothing"),
        pytest.param(lambda a: [b"".join(a), a[3] + a[4]], [], id="delivered twice"),
        pytest.param(lambda a: [b"".join(reversed(a))], [], id="in another order"),
        pytest.param(
            lambda a: [gzip.compress(a[0]) + gzip.compress(b"".join(a[1:]))], [], id="gzip members"
        ),
        pytest.param(lambda a: [b"[" + b",".join(a) + b"]"], [], id="an upload body"),
        pytest.param(lambda a: [b"".join(a[:2] + a[3:])], [("gap", 3, 3)], id="a line is gone"),
        pytest.param(lambda a: [b"".join(a[1:])], [("missing-head", 1, 1)], id="the head is gone"),
        pytest.param(
            lambda a: [b"".join(a[:7] + a[9:])], [("truncated", 8, 9)], id="the end is gone"
        ),
        pytest.param(
            lambda a: [b"".join([*a[:4], altered(a[4]), *a[5:]])],
            [("altered", 5, 5)],
            id="a line is changed",
        ),
        pytest.param(
            lambda a: [b"".join(a), altered(a[4])],
            [("duplicate", 5, 5), ("altered", 5, 5)],
            id="a changed copy in another file",
        ),
        pytest.param(
            lambda a: [b"".join(a[:5]), gzip.compress(b"".join(a[5:]))[:-20]],
            [("unreadable", None, None)],
            id="a file is cut short",
        ),
        pytest.param(
            lambda a: [b"".join([*a, b'{"decision_id": "x"}\n'])],
            [("unreadable", None, None)],
            id="a line is no event",
        ),
    ],
)
def test_what_was_done_to_files_is_found(tmp_path, verify, lines, change, expected):
    folder = tmp_path / "copied"
    folder.mkdir()
    for number, raw in enumerate(change(lines)):
        (folder / f"{number}").write_bytes(raw)
    found, summary = verify(folder)
    assert sorted(found, key=str) == sorted(expected, key=str)
    if not expected:
        assert (summary["events"], summary["closed"]) == (10, 1)


def test_files_are_asked_like_a_store_and_what_is_no_decision_is_counted(tmp_path, audit, lines):
    folder = tmp_path / "copied"
    folder.mkdir()
    (folder / "a").write_bytes(b"".join(lines) + b"{}\n")
    status, told, error = audit("query", folder, "--format", "json", "--function", "orders")
    assert (status, len(json.loads(told))) == (0, 9)
    assert error == "warning: 1 files or entries are no decisions\n"
    shutil.rmtree(folder)
    assert "cannot be read: No such file" in audit("query", folder)[2]


@pytest.mark.parametrize("arguments", [(), ("--dir", "x", "y")])
def test_one_must_say_what_to_read_and_only_once(audit, arguments):
    assert "give either --dir or what to read" in audit("verify", *arguments)[2]
