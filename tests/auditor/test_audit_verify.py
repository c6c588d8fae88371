"""A store is tampered with in every way that comes to mind, and `audit verify` finds each."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from policy_agent.audit_chain import ChainKey
from policy_agent.auditor.extract import extract_row
from policy_agent.auditor.heads import HEADS_FILE
from policy_agent.auditor.row import ResultKind
from policy_agent.auditor.store import AuditStore
from policy_agent.auditor.table import to_arrow
from policy_agent.cli import main
from policy_agent.decision_log.chunk import make_stub
from policy_agent.decision_log.numbering import Numbering
from tests.auditor.audit_process import event

KEY = b"a secret of the platform team"
START = datetime(2026, 11, 21, 10, tzinfo=UTC)


def stream(name, count, *, key=KEY, closed=True, start=START):
    """Return the rows of one agent: `count` decisions, a second apart, and a closing record."""
    numbering = Numbering(ChainKey(key))
    rows = []
    for number in range(1, count + closed + 1):
        closing = number > count
        fields = {"timestamp": (start + timedelta(seconds=number)).isoformat()}
        if closing:
            fields |= dict.fromkeys(("path", "input", "result", "bundles", "requested_by"))
        facts = {"closing": True, "last_seq": count} if closing else {}
        link = numbering.link(event(f"{name}-{number}", **fields), **facts)
        numbering.accept(link)
        rows.append(extract_row(link.raw, "body-1"))
    return rows


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "key").write_bytes(KEY + b"\n")
    return tmp_path / "store"


@pytest.fixture
def fill(directory):
    """Store rows as the receiver does."""

    def fill(*streams):
        with AuditStore.create(directory) as store:
            store.append_batch([row for rows in streams for row in rows], ["body-1"])

    return fill


@pytest.fixture
def rewrite(directory):
    """Replace what the table holds behind the receiver's back, as any engine can."""

    def rewrite(rows):
        with AuditStore(directory) as store:
            table = store._table
            table.overwrite(to_arrow(rows, table.schema().as_arrow()))

    return rewrite


@pytest.fixture
def verify(directory, tmp_path, capsys):
    def verify(*arguments, key="key", status=None):
        given = ["--audit-key-file", str(tmp_path / key)] if key else []
        command = ["audit", "verify", "--dir", str(directory), "--format", "json"]
        returned = main([*command, *given, *arguments])
        body = json.loads(capsys.readouterr().out)
        found = [(each["kind"], each["first_seq"], each["last_seq"]) for each in body["findings"]]
        assert returned == (1 if found else 0)
        assert body["summary"]["findings"] == len(found)
        return found, body["summary"]

    return verify


def changed(row, change):
    """Return the row of the same event with its JSON changed, all columns following."""
    fields = json.loads(row.event)
    change(fields)
    return extract_row(json.dumps(fields).encode(), row.source)


def with_result(value):
    return lambda fields: fields.update(result=value)


def with_seq(value):
    return lambda fields: fields["custom"]["audit"].update(seq=value)


def deny_in_the_columns(rows):
    rows[4] = replace(rows[4], result=ResultKind.DENY)


def no_number(rows):
    rows[4] = replace(rows[4], seq=None)


def negative_number(rows):
    rows[4] = replace(rows[4], seq=-5)


def unknown_result(rows):
    rows[4] = replace(rows[4], result="none of ours")


def allow_to_deny(rows):
    rows[4] = changed(rows[4], with_result(False))


def other_input(rows):
    rows[4] = changed(rows[4], lambda fields: fields["input"]["identity"].update(sub="bob"))


def other_time(rows):
    rows[4] = changed(rows[4], lambda fields: fields.update(timestamp="2026-11-21T09:00:00Z"))


def swap(rows):
    rows[4], rows[5] = changed(rows[5], with_seq(5)), changed(rows[4], with_seq(6))


def swap_columns(rows):
    rows[4], rows[5] = replace(rows[5], seq=5), replace(rows[4], seq=6)


def double(rows):
    rows.append(changed(rows[4], lambda fields: fields.update(decision_id="x", result=False)))


def forge(rows):
    """Append a decision after the last, chained to it as well as one can without the key."""
    rows.pop()
    numbering = Numbering(ChainKey(b"a guess"))
    numbering._instance, numbering._chain = rows[-1].instance, rows[-1].chain
    numbering.last_seq = rows[-1].seq
    rows.append(extract_row(numbering.link(event("forged")).raw, "body-1"))


def forge_without_numbers(rows):
    rows.append(extract_row(json.dumps(event("forged")).encode(), "body-1"))


def forge_with_the_right_key_id(rows):
    rows.append(changed(rows[-2], lambda fields: fields.update(decision_id="forged")))
    rows[-1] = changed(rows[-1], with_seq(12))


def hide_as_closing(rows):
    rows[4] = changed(rows[4], lambda fields: fields["custom"]["audit"].update(closing=True))


def hide_as_replaced(rows):
    def change(fields):
        del fields["input"], fields["result"]
        fields["custom"]["audit"] |= {"replaced": True, "seal": "0" * 32}

    rows[4] = changed(rows[4], change)


def no_event(rows):
    rows[4] = replace(rows[4], event="[")


@pytest.mark.parametrize(
    ("tamper", "found"),
    [
        pytest.param(lambda rows: rows.pop(4), [("gap", 5, 5)], id="delete one"),
        pytest.param(
            lambda rows: rows.__delitem__(slice(4, 7)), [("gap", 5, 7)], id="delete several"
        ),
        pytest.param(
            lambda rows: rows.__delitem__(slice(7, None)),
            [("truncated", 8, 11)],
            id="delete the tail",
        ),
        pytest.param(
            lambda rows: rows.__delitem__(slice(7, 10)),
            [("truncated", 8, 10)],
            id="delete the tail, leave the closing record",
        ),
        pytest.param(
            lambda rows: rows.__delitem__(slice(0, 3)), [("missing-head", 1, 3)], id="delete head"
        ),
        pytest.param(
            lambda rows: rows.pop(), [("missing-close", 11, 11)], id="delete the closing record"
        ),
        pytest.param(lambda rows: rows.clear(), [("missing-stream", 1, 11)], id="delete all"),
        pytest.param(allow_to_deny, [("altered", 5, 5)], id="allow to deny"),
        pytest.param(deny_in_the_columns, [("altered", 5, 5)], id="deny in the columns only"),
        pytest.param(other_input, [("altered", 5, 5)], id="input"),
        pytest.param(other_time, [("altered", 5, 5)], id="timestamp"),
        pytest.param(swap, [("altered", 5, 6), ("wrong-order", 7, 7)], id="swap two numbers"),
        pytest.param(
            swap_columns,
            [("wrong-order", 5, 5), ("wrong-order", 6, 6), ("wrong-order", 7, 7)],
            id="swap two numbers in the columns only",
        ),
        pytest.param(double, [("duplicate", 5, 5), ("altered", 5, 5)], id="same number twice"),
        pytest.param(forge, [("wrong-key", 11, 11), ("missing-close", 11, 11)], id="forge"),
        pytest.param(
            forge_without_numbers, [("unnumbered", None, None)], id="forge without numbers"
        ),
        pytest.param(
            forge_with_the_right_key_id,
            [("after-close", 12, 12), ("altered", 12, 12)],
            id="copy one to the end",
        ),
        pytest.param(
            hide_as_closing, [("altered", 5, 5)], id="hide a decision as a closing record"
        ),
        pytest.param(hide_as_replaced, [("altered", 5, 5)], id="remove input and result"),
        pytest.param(no_number, [("gap", 5, 5), ("wrong-order", None, None)], id="no number"),
        pytest.param(
            negative_number, [("wrong-order", -5, -5), ("gap", 5, 5)], id="negative number"
        ),
        pytest.param(unknown_result, [("altered", 5, 5)], id="a result that is none"),
        pytest.param(no_event, [("altered", 5, 5)], id="no event at all"),
    ],
)
def test_tampering_is_found(fill, rewrite, verify, tamper, found):
    rows, other = stream("a", 10), stream("b", 3)
    fill(rows, other)
    assert verify()[0] == []
    tamper(rows)
    rewrite(rows + other)
    assert verify()[0] == found


def test_a_whole_store_is_clean_and_counted(fill, verify):
    fill(stream("a", 10), stream("b", 3, closed=False))
    found, summary = verify()
    assert found == []
    assert summary == {
        "events": 14,
        "streams": 2,
        "closed": 1,
        "open": 1,
        "replaced": 0,
        "unnumbered": 0,
        "dropped": 0,
        "unwitnessed": 0,
        "findings": 0,
    }


def test_without_a_key_accidents_are_found_and_a_careful_forger_is_not(fill, rewrite, verify):
    rows = stream("a", 3, key=b"", closed=False)
    fill(rows)
    assert verify(key=None)[0] == []
    rewrite([*rows[:2], changed(rows[2], with_result(False))])
    assert verify(key=None)[0] == [("altered", 3, 3)]
    numbering = Numbering(ChainKey())
    numbering._instance, numbering._chain = rows[1].instance, rows[1].chain
    numbering.last_seq = 2
    forged = extract_row(numbering.link(event("a-3", result=False)).raw, "body-1")
    rewrite([*rows[:2], forged])
    assert verify(key=None)[0] == []


@pytest.mark.parametrize(
    ("made_with", "key"),
    [
        pytest.param(KEY, None, id="key not given"),
        pytest.param(KEY, "other", id="other key given"),
        pytest.param(b"", "key", id="made without"),
    ],
)
def test_what_cannot_be_verified_is_not_clean(fill, verify, tmp_path, made_with, key):
    (tmp_path / "other").write_bytes(b"of another team")
    fill(stream("a", 3, key=made_with))
    assert verify(key=key)[0] == [("wrong-key", 1, 4)]


def test_keys_of_different_times_go_together(fill, verify, tmp_path):
    (tmp_path / "other").write_bytes(b"next year's")
    fill(stream("a", 3), stream("b", 3, key=b"next year's"))
    assert verify("--audit-key-file", str(tmp_path / "other"))[0] == []


def test_events_of_opa_are_counted_and_no_finding_without_a_key(fill, verify):
    fill([extract_row(json.dumps(event("opa")).encode(), "body-1")])
    found, summary = verify(key=None)
    assert (found, summary["unnumbered"], summary["streams"]) == ([], 1, 0)


def test_a_stub_of_the_agent_is_clean_and_counted(fill, verify):
    rows = stream("a", 5)
    stub = make_stub(rows[2].event.encode(), {"oversize_bytes": 9}, ChainKey(KEY))
    rows[2] = extract_row(stub, "body-1")
    fill(rows)
    found, summary = verify()
    assert (found, summary["replaced"]) == ([], 1)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        pytest.param(["--since", "2026-11-21T10:00:00Z"], ["b"], id="since"),
        pytest.param(["--until", "2026-11-21T10:00:00Z"], ["a"], id="until"),
        pytest.param(["--since", "2026-11-20T10:00:08Z"], ["a", "b"], id="in the middle"),
        pytest.param(
            ["--since", "2026-11-20T12:00:00Z", "--until", "2026-11-21T09:00:00Z"], [], id="neither"
        ),
    ],
)
def test_a_window_chooses_streams_and_they_are_verified_whole(
    fill, rewrite, verify, arguments, found
):
    day = timedelta(days=1)
    streams = {"a": stream("a", 10, start=START - day), "b": stream("b", 10)}
    gone = {"a": stream("gone", 10, start=START - day), "b": stream("gone too", 10)}
    fill(*streams.values(), *gone.values())
    rewrite([row for rows in streams.values() for row in rows if row.seq != 2])
    kinds, summary = verify(*arguments)
    expected = [("gap", 2, 2), ("missing-stream", 1, 11)] * len(found)
    assert sorted(kinds) == sorted(expected)
    assert summary["events"] == 10 * len(found)


def test_without_the_witness_a_lost_end_does_not_show_and_that_is_said(
    fill, rewrite, verify, directory
):
    rows = stream("a", 5)
    fill(rows)
    rewrite(rows[:3])
    (directory / HEADS_FILE).unlink()
    found, summary = verify()
    assert (found, summary["unwitnessed"], summary["open"]) == ([], 1, 1)


def test_a_store_of_an_older_version_opens_and_gains_the_columns(fill, directory, verify):
    fill([extract_row(json.dumps(event("old")).encode(), "body-1")])
    with AuditStore(directory) as store, store._table.update_schema() as update:
        for name in ("instance", "seq", "chain"):
            update.delete_column(name)
    with AuditStore(directory) as reader:
        assert [row.decision_id for row in reader.query()] == ["old"]
        assert reader.query()[0].instance is None
    rows = stream("a", 2)
    fill(rows)
    with AuditStore(directory) as store:
        assert {row.decision_id: row.seq for row in store.query()} == {
            "old": None,
            "a-1": 1,
            "a-2": 2,
        }
    found, summary = verify()
    assert (found, summary["events"]) == ([("unnumbered", None, None)], 3)


def test_the_text_names_stream_numbers_function_and_time(fill, rewrite, directory, capsys):
    rows = stream("a", 5, key=b"")
    fill(rows)
    rewrite(rows[:1] + rows[3:])
    assert main(["audit", "verify", "--dir", str(directory)]) == 1
    line, counts = capsys.readouterr().out.splitlines()
    assert line == (
        f"gap instance={rows[0].instance} seq=2-3 function=orders"
        " time=2026-11-21T10:00:04.000000Z: missing"
    )
    assert counts == (
        "events=4 streams=1 closed=1 open=0 replaced=0 unnumbered=0 dropped=0 unwitnessed=0"
        " findings=1"
    )


def test_control_characters_of_an_entry_do_not_reach_the_terminal(fill, rewrite, directory, capsys):
    rows = stream("a", 2, key=b"")
    fill(rows)
    rewrite([replace(rows[0], instance="\x1b[2J")])
    assert main(["audit", "verify", "--dir", str(directory)]) == 1
    assert "instance=\\x1b[2J " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        pytest.param("none", "cannot read --audit-key-file", id="no file"),
        pytest.param("empty", "is empty", id="empty"),
    ],
)
def test_a_key_file_without_a_key_is_one_sentence(directory, tmp_path, capsys, name, reason):
    (tmp_path / "empty").write_bytes(b"\n")
    AuditStore.create(directory).close()
    command = ["audit", "verify", "--dir", str(directory)]
    assert main([*command, "--audit-key-file", str(tmp_path / name)]) == 1
    assert reason in capsys.readouterr().err


def test_a_damaged_witness_is_our_error(fill, directory, capsys):
    fill(stream("a", 1))
    (directory / HEADS_FILE).write_bytes(b"not SQLite" * 1000)
    assert main(["audit", "verify", "--dir", str(directory)]) == 1
    assert "cannot read" in capsys.readouterr().err


def test_a_witness_that_cannot_be_written_keeps_no_decision_out(fill, directory, verify):
    fill([])
    (directory / HEADS_FILE).mkdir()
    fill(stream("a", 1))
    shutil.rmtree(directory / HEADS_FILE)
    found, summary = verify()
    assert (found, summary["events"], summary["unwitnessed"]) == ([], 2, 1)


def test_query_and_count_leave_closing_records_out_unless_they_are_asked_for(
    fill, directory, capsys
):
    fill(stream("a", 2))
    for arguments, count in ([], "2\n"), (["--result", "close"], "1\n"):
        main(["audit", "query", "--dir", str(directory), "--count", *arguments])
        assert capsys.readouterr().out == count
