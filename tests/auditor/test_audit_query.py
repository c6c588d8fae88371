import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest

from policy_agent.auditor.extract import extract_row
from policy_agent.auditor.spool import Spool
from policy_agent.auditor.store import AuditStore
from policy_agent.cli import main
from tests.auditor.audit_process import event


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """A store with one decision of an hour ago and one of two days ago."""
    directory = tmp_path_factory.mktemp("query")
    now = datetime.now(UTC)
    events = [
        event("recent", timestamp=(now - timedelta(hours=1)).isoformat()),
        event(
            "older",
            timestamp=(now - timedelta(days=2)).isoformat(),
            labels={"app": "billing"},
            input={"user": "bob"},
            path="billing/allow",
            result=False,
            bundles={"billing": {"revision": "r9"}},
        ),
    ]
    with AuditStore.create(directory) as store:
        store.append_batch(
            [extract_row(json.dumps(each).encode(), "body-1") for each in events], ["body-1"]
        )
    return directory


@pytest.fixture
def ask(directory, capsys):
    def ask(*arguments):
        status = main(["audit", "query", "--dir", str(directory), *arguments])
        captured = capsys.readouterr()
        assert (status, captured.err) == (0, "")
        return captured.out

    return ask


def test_the_table_is_the_default_and_newest_first(ask):
    header, *lines = ask().splitlines()
    assert header.split()[:3] == ["time", "function", "subject"]
    assert [line.split()[1:] for line in lines] == [
        ["orders", "alice", "orders/authz/allow", "allow", "orders=r1", "recent"],
        ["billing", "bob", "billing/allow", "deny", "billing=r9", "older"],
    ]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        pytest.param(["--since", "24h"], ["recent"], id="since"),
        pytest.param(["--until", "1d"], ["older"], id="until"),
        pytest.param(["--since", "7d", "--until", "2026-11-21T00:00:00Z"], None, id="both"),
        pytest.param(["--function", "billing"], ["older"], id="function"),
        pytest.param(["--subject", "alice"], ["recent"], id="subject"),
        pytest.param(["--path", "/billing/allow"], ["older"], id="path"),
        pytest.param(["--result", "deny"], ["older"], id="result"),
        pytest.param(["--revision", "r9"], ["older"], id="revision"),
        pytest.param(["--decision-id", "recent"], ["recent"], id="decision id"),
        pytest.param(["--limit", "1"], ["recent"], id="limit"),
        pytest.param(["--result", "error"], [], id="nothing"),
    ],
)
def test_each_filter_reaches_the_store(ask, arguments, found):
    decisions = [each["decision_id"] for each in json.loads(ask(*arguments, "--format", "json"))]
    if found is not None:
        assert decisions == found
    if "--limit" not in arguments:
        assert ask(*arguments, "--count") == f"{len(decisions)}\n"


def test_csv(ask):
    (decision,) = csv.DictReader(io.StringIO(ask("--format", "csv", "--subject", "bob")))
    assert decision["revision"] == "billing=r9"
    assert json.loads(decision["event"])["result"] is False


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        pytest.param([], "time  function", id="table"),
        pytest.param(["--format", "json"], "[]\n", id="json"),
        pytest.param(["--count"], "0\n", id="count"),
    ],
)
def test_an_empty_store_is_no_error(tmp_path, capsys, arguments, text):
    AuditStore.create(tmp_path).close()
    assert main(["audit", "query", "--dir", str(tmp_path), *arguments]) == 0
    assert capsys.readouterr().out.startswith(text)


def test_what_is_not_yet_stored_is_told_on_standard_error(tmp_path, capsys):
    AuditStore.create(tmp_path).close()
    spool = Spool(tmp_path / "spool")
    for _ in range(2):
        spool.add(b"[5,5,5]", event_count=3, is_gzip=False)
    assert main(["audit", "query", "--dir", str(tmp_path), "--count"]) == 0
    assert capsys.readouterr() == (
        "0\n",
        "warning: 2 received bodies are not yet in the store\n",
    )
    spool.close()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        pytest.param(["--since", "soon"], "'soon' is neither a time", id="since"),
        pytest.param(["--until", "soon"], "'soon' is neither a time", id="until"),
        pytest.param(["--limit", "0"], "--limit must be at least 1", id="limit"),
        pytest.param(["--dir", "no/such/place"], "no such directory", id="directory"),
    ],
)
def test_a_wrong_argument_is_one_sentence(directory, capsys, arguments, reason):
    assert main(["audit", "query", "--dir", str(directory), *arguments]) == 1
    assert reason in capsys.readouterr().err
