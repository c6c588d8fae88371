"""`eval` with explanations, coverage and profiles, compared with the real `opa eval`."""

import json
import re

import pytest

from tests.publisher.asking import opas, ours
from tests.publisher.test_test_traces import POLICY
from tests.support import needs_opa

OTHER = """package other

import data.p

base := {"eu": ["de", "fr"], "us": ["ny"]}

allow if {
	not denied
	some region
	input.place in base[region]
	p.f(input.level) > 3
}

allow if {
	startswith(input.place, "x-")
	every tag in input.tags {
		tag != "no"
	}
}

denied if {
	input.banned[_] == input.user
}

level := "high" if {
	input.level > 7
} else := "low" if {
	input.level > 0
}

counts[tag] := n if {
	some tag in input.tags
	n := count([x | some x in input.tags; x == tag])
}

checked := x if {
	x := {tag | some tag in input.tags; not tag == "no"}
	trace("checked")
}
"""
INPUT = {
    "role": "auditor",
    "user": "bob",
    "tags": ["no", "ok", "ok2"],
    "place": "fr",
    "level": 5,
    "banned": ["eve"],
}


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.rego").write_text(POLICY)
    (tmp_path / "other.rego").write_text(OTHER)
    (tmp_path / "in.json").write_text(json.dumps(INPUT))
    return tmp_path


def arguments(query, *more):
    return ["eval", "-d", "p.rego", "-d", "other.rego", "-i", "in.json", *more, query]


def explained(capsys, query, *more):
    return ours(capsys, *arguments(query, "-f", "pretty", *more))[1]


def test_an_explanation_tells_which_rules_held_and_where_others_failed(capsys):
    lines = explained(capsys, "data.p.allow", "--explain", "full", "--disable-indexing")
    shown = [line for line in lines.splitlines() if re.search(r"(Enter|Fail|Exit) ", line)]
    assert shown == [
        "query:1       Enter data.p.allow = _",
        "p.rego:5      | Enter data.p.allow",
        'p.rego:6      | | Fail input.role = "admin"',
        "p.rego:10     | Enter data.p.allow",
        "p.rego:10     | | Exit data.p.allow",
        "query:1       | Exit data.p.allow = _",
    ]


def test_rules_that_the_index_leaves_out_can_be_shown(capsys):
    command = ["data.other.allow", "--explain", "fails", "--disable-early-exit"]
    failing = '| | Fail startswith(__local__, "x-")'
    assert failing not in without_numbers(explained(capsys, *command))
    assert failing in without_numbers(explained(capsys, *command, "--disable-indexing"))


def test_values_are_shown_beside_a_trace(capsys):
    shown = explained(capsys, "data.p.is_ok", "--explain", "fails", "--var-values")
    assert re.search(r'p\.rego:14 +\| \| Fail x = "ok" +\{x: "no"\}', shown)


def test_a_profile_counts_by_line(capsys):
    status, output, _ = ours(capsys, *arguments("data.p.is_ok", "--profile"))
    lines = {each["location"]["row"]: each for each in json.loads(output)["profile"]}
    assert status == 0
    assert (lines[14]["num_eval"], lines[14]["num_redo"]) == (2, 1)
    assert lines[15]["num_gen_expr"] == 2
    assert all(each["total_time_ns"] >= 0 for each in lines.values())


def test_partial_evaluation_is_refused(capsys):
    status, _, error = ours(capsys, *arguments("data.p.allow", "--partial"))
    assert status == 1
    assert "partial evaluation is not supported" in error


QUERIES = [
    "data.p",
    "data.p.allow",
    "data.p.names[x]",
    "data.p.listed; data.p.text",
    "data.other.allow",
    "data.other.level",
    "data.other.checked",
    "data.other.denied",
    "x := data.p.f(1); y := data.p.f(3)",
    "not data.other.denied",
    "[x | data.p.names[x]]",
    "data.p.nothing",
    "data.p.is_ok with input.tags as []",
]


def without_numbers(trace: str) -> str:
    return re.sub(r"__local[a-z]*\d+__", "__local__", trace)


def events(trace: str) -> list[str]:
    """Return a trace without what is documented to differ: redoing, the index, early ends."""
    rows = (line for line in trace.splitlines() if not re.search(r"\| (Redo|Index) ", line))
    named = map(without_numbers, rows)
    return [re.sub(r" early$", "", row).rstrip() for row in named if re.search(r":\d+ ", row)]


class TestBesideOpa:
    pytestmark = needs_opa

    @pytest.mark.parametrize("query", QUERIES)
    def test_what_is_tried_holds_and_fails_is_opas(self, capsys, query):
        command = arguments(query, "--explain", "full", "-f", "pretty")
        mine, theirs = ours(capsys, *command), opas(*command)
        assert events(mine[1]) == events(theirs[1])
        assert mine[0] == theirs[0]

    @pytest.mark.parametrize("mode", ["notes", "fails"])
    @pytest.mark.parametrize("query", QUERIES)
    def test_notes_and_fails_are_opas(self, capsys, query, mode):
        command = arguments(query, "--explain", mode, "-f", "pretty")
        mine, theirs = ours(capsys, *command), opas(*command)
        assert without_numbers(mine[1]) == without_numbers(theirs[1])

    @pytest.mark.parametrize("query", [*QUERIES, "data.other.counts", "data"])
    def test_coverage_is_opas(self, capsys, query):
        command = arguments(query, "--coverage")
        assert ours(capsys, *command) == opas(*command)
