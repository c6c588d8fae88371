import re

import pytest

from policy_agent.cli import main
from policy_agent.config import Service
from policy_agent.decision_log.batch import Batch
from policy_agent.decision_log.sinks.s3 import S3Sink
from policy_agent.service import ServiceClient


def ddl(capsys, *arguments):
    status = main(["audit", "ddl", *arguments])
    return status, *capsys.readouterr()


def test_the_statement_finds_the_keys_that_the_sink_makes(capsys):
    status, statement, _ = ddl(capsys, "--location", "s3://logs/audit/log/", "--table", "db.d")
    assert status == 0
    assert statement.startswith("CREATE EXTERNAL TABLE IF NOT EXISTS db.d (")
    (template,) = re.findall("'storage.location.template' = 's3://logs/(.*)'", statement)
    event = b'{"timestamp":"2026-11-27T04:00:00Z"}'
    key = S3Sink(ServiceClient(Service("s3", "http://s3")), "audit/log", {"function": "f"}).key_of(
        Batch("b", b"", event)
    )
    folder = template.replace("${dt}", "2026-11-27").replace("${hour}", "04")
    assert key == f"{folder}function=f/b.json.gz"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--location", "logs/audit"),
        ("--location", "s3://logs/a' b"),
        ("--location", "s3://logs/a", "--table", "d; DROP TABLE x"),
        ("--location", "s3://logs/a", "--since", "yesterday"),
    ],
)
def test_what_would_change_the_statement_is_refused(capsys, arguments):
    status, statement, error = ddl(capsys, *arguments)
    assert (status, statement) == (1, "")
    assert "must be" in error
