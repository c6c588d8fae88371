"""The pages of `policy-agent audit web`, from a process of its own over a real store."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from policy_agent.audit_chain import ChainKey
from policy_agent.auditor.extract import extract_row
from policy_agent.auditor.store import AuditStore
from policy_agent.decision_log.numbering import Numbering
from tests.auditor.audit_process import MAIN, event

KEY = b"a secret"
HOSTILE = '<script src="//evil.example"></script>\u202e\x1b[2J'
DECISIONS = 230
NOW = datetime.now(UTC)


def rows_of_an_agent():
    """One stream: alice is allowed, mallory is denied; one entry was changed, one is gone."""
    numbering = Numbering(ChainKey(KEY))
    rows = []
    for number in range(1, DECISIONS + 1):
        # Three at each moment, so that pages do not end between two of them by chance.
        at = NOW - timedelta(minutes=30) + timedelta(seconds=number // 3)
        who = HOSTILE if number == 7 else "mallory" if number % 2 else "alice"
        fields = {
            "timestamp": at.isoformat(),
            "input": {"identity": {"sub": who}, "note": HOSTILE},
            "result": {"allow": who == "alice", "reasons": ["not yours"]},
            "custom": {"rules": ["orders.authz.allow"], "lambda": {"request_id": "r-1"}},
        }
        link = numbering.link(event(f"decision/{number}", **fields))
        numbering.accept(link)
        raw = link.raw.replace(b"not yours", b"was yours") if number == 20 else link.raw
        if number != 30:
            rows.append(extract_row(raw, "body"))
    return rows


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    work = tmp_path_factory.mktemp("web")
    (work / "key").write_bytes(KEY)
    with AuditStore.create(work / "store") as store:
        store.append_batch(rows_of_an_agent(), ["body"])
    command = ["audit", "web", "--dir", str(work / "store"), "--addr", "127.0.0.1:0"]
    command += ["--audit-key-file", str(work / "key")]
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, *command], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            assert line.startswith("listening on http://127.0.0.1:"), line
            with httpx.Client(base_url=line.split()[-1], timeout=30) as client:
                yield client
        finally:
            process.terminate()


def cells(text):
    """Return the table of a page's last table body, as text."""
    body = text.rpartition("<tbody>")[2]
    return [
        [
            html.unescape(re.sub("<[^>]*>", "", cell)).strip()
            for cell in re.findall("<td.*?</td>", row, re.DOTALL)
        ]
        for row in re.findall("<tr>.*?</tr>", body, re.DOTALL)
    ]


def ids(text):
    return [row[-1] for row in cells(text)]


def test_all_decisions_are_on_some_page_once_newest_first(pages):
    seen, address = [], "/"
    while address:
        text = pages.get(address).raise_for_status().text
        seen += ids(text)
        older = re.search('href="(/[^"]*)">Older', text)
        address = html.unescape(older[1]) if older else ""
    expected = {f"decision/{number}" for number in range(1, DECISIONS + 1)} - {"decision/30"}
    assert len(seen) == len(set(seen)) == len(expected)
    assert set(seen) == expected
    assert seen[0] in ("decision/229", "decision/230")


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({"result": "deny", "subject": "mallory"}, 114),
        ({"subject": "alice", "function": "orders", "path": "/orders/authz/allow"}, 114),
        ({"subject": HOSTILE}, 1),
        ({"function": "none of ours"}, 0),
        ({"since": "5m"}, 0),
        ({"decision_id": "decision/9", "since": ""}, 1),
    ],
)
def test_decisions_are_found_by_what_is_known_of_them(pages, asked, count):
    assert f'<p class="dim">{count} decisions' in pages.get("/", params=asked).text


def test_a_decision_shows_what_was_decided_why_and_the_proof(pages):
    text = pages.get("/decisions/decision/9").raise_for_status().text
    shown = html.unescape(text)
    for part in ('"sub": "mallory"', '"reasons"', "orders.authz.allow", '"request_id": "r-1"'):
        assert part in shown
    assert "as its agent made it, with key" in shown
    assert "its stream: 229 entries, open, 2 findings" in shown


def test_a_decision_that_was_changed_says_so(pages):
    text = pages.get("/decisions/decision/20").text
    assert "altered: its chain value does not fit its content" in text
    assert "as its agent made it" not in text


def test_the_report_lists_what_is_wrong(pages):
    text = pages.get("/verification").raise_for_status().text
    assert [(row[0], row[2]) for row in cells(text)] == [("altered", "20"), ("gap", "30")]
    assert "2 findings" in text


def test_anomalies_lead_to_the_decisions(pages):
    text = pages.get("/anomalies", params={"since": "1h", "baseline": "7d"}).text
    assert ["denials", "subject", "mallory"] in [row[:3] for row in cells(text)]
    [link] = re.findall('href="(/[?][^"]*mallory[^"]*)"', text)
    assert {row[2] for row in cells(pages.get(html.unescape(link)).text)} == {"mallory"}


@pytest.mark.parametrize("address", ["/", "/decisions/decision/7", "/anomalies", "/verification"])
def test_what_stands_in_an_entry_is_text_and_nothing_else_is_loaded(pages, address):
    answer = pages.get(address, params={"decision_id": "decision/7"} if address == "/" else {})
    assert "<script" not in answer.text
    assert "\x1b" not in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("address", "asked", "reason"),
    [
        ("/", {"since": "<yesterday>"}, "&#39;&lt;yesterday&gt;&#39; is neither a time"),
        ("/", {"result": "maybe"}, "&#39;maybe&#39; is no outcome"),
        ("/anomalies", {"baseline": "1m"}, "the baseline must begin before"),
    ],
)
def test_a_question_that_makes_no_sense_is_answered_with_the_reason(pages, address, asked, reason):
    answer = pages.get(address, params=asked)
    assert answer.status_code == 400
    assert reason in answer.text


def test_an_unknown_decision_is_not_found(pages):
    assert pages.get("/decisions/nobody").status_code == 404


def test_another_sites_name_for_our_address_is_refused(pages):
    assert pages.get("/", headers={"Host": "evil.example"}).status_code == 400


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_pages_change_nothing(pages, method):
    assert pages.request(method, "/").status_code == 405
