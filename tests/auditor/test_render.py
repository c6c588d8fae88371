import csv
import io
import json
from dataclasses import replace

import pytest

from policy_agent.auditor.extract import extract_row
from policy_agent.auditor.render import as_csv, as_json, as_table
from tests.auditor.audit_process import event


@pytest.fixture
def row():
    return extract_row(json.dumps(event("d-1")).encode(), "body-1")


def test_the_table_fits_its_columns_to_their_content(row):
    longer = replace(row, subject="a-much-longer-name", function=None, revisions={})
    assert as_table([row, longer]).splitlines() == [
        "time                         function  subject             path                result"
        "  revision   decision_id",
        "2026-11-21T10:00:00.123457Z  orders    alice               orders/authz/allow  allow "
        "  orders=r1  d-1",
        "2026-11-21T10:00:00.123457Z  -         a-much-longer-name  orders/authz/allow  allow "
        "  -          d-1",
    ]


def test_several_revisions_and_the_legacy_one(row):
    assert "  a=1,b=2  " in as_table([replace(row, revisions={"a": "1", "b": "2"})])
    assert "  r0  " in as_table([replace(row, revisions={"": "r0"})])


def test_the_table_shows_no_control_character_of_a_caller(row):
    text = as_table([replace(row, subject="\x1b[2Jal\nice\u202e")])
    assert "\\x1b[2Jal\\nice\\u202e" in text
    assert len(text.splitlines()) == 2


def test_no_rows_are_a_header_or_an_empty_array():
    assert as_table([]).split() == [
        "time", "function", "subject", "path", "result", "revision", "decision_id",
    ]  # fmt: skip
    assert json.loads(as_json([])) == []
    assert len(as_csv([]).splitlines()) == 1


def test_json_has_the_event_with_its_digits(row):
    text = '{"input":{"n":1.10000000000000000001,"big":123456789012345678901234567890}}'
    shown = as_json([replace(row, event=text)])
    assert "1.10000000000000000001" in shown
    (decision,) = json.loads(shown)
    assert decision["event"]["input"]["big"] == 123456789012345678901234567890
    assert decision["revisions"] == {"orders": "r1"}
    assert decision["result"] == "allow"


def test_csv_quotes_what_needs_it(row):
    odd = replace(row, subject='a,"b"\nc', error="e")
    (decision,) = csv.DictReader(io.StringIO(as_csv([odd])))
    assert decision["subject"] == 'a,"b"\nc'
    assert decision["revision"] == "orders=r1"
    assert decision["error"] == "e"
    assert json.loads(decision["event"]) == event("d-1")
