"""OPA's own table of masks, read from its source: every event comes out as OPA's tests want it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from policy_agent.decision_log.mask import masked, parse_rules

TABLE = Path(
    os.environ.get("OPA_SOURCE")
    or Path.home() / "go/pkg/mod/github.com/open-policy-agent/opa@v1.22.0",
    "v1/plugins/logs/mask_test.go",
)
RULE = re.compile(
    r"OP: +maskOP(?P<op>Remove|Upsert),\s*Path: +(?P<path>\"[^\"]*\")"
    r"(,\s*Value: +(?P<value>struct \{[^}]*\}\{[^}]*\}|\[\]map[^\n]*|[^\n]*?),\n)?"
)
CASE = re.compile(
    r"note: +(?P<note>\"[^\n]*\"),\s*(?P<rules>(ptr|rules):.*?)"
    r"event: +`(?P<event>[^`]*)`,\s*exp: +`(?P<expected>[^`]*)`",
    re.DOTALL,
)
# What is written in Go and not in JSON.
GO_VALUES = {
    '[]map[string]int{{"nabs": 1}}': [{"nabs": 1}],
    'struct { RandoString string }{RandoString: "foo"}': {"RandoString": "foo"},
}


def cases():
    if not TABLE.exists():
        return [pytest.param(None, None, None, marks=pytest.mark.skip("no source of OPA"))]
    found = []
    for number, case in enumerate(CASE.finditer(TABLE.read_text("utf-8"))):
        rules = [rule_of(rule) for rule in RULE.finditer(case["rules"])]
        name = f"{number} {json.loads(case['note'])}"
        found.append(pytest.param(rules, case["event"], case["expected"], id=name))
    return found


def rule_of(match):
    rule = {"op": match["op"].lower(), "path": json.loads(match["path"])}
    if match["op"] == "Upsert":
        text = re.sub(r"\s+", " ", match["value"] or "null")
        rule["value"] = GO_VALUES[text] if text in GO_VALUES else json.loads(text)
    return rule


@pytest.mark.parametrize(("rules", "event", "expected"), cases())
def test_masks_of_opas_own_table_have_opas_results(rules, event, expected):
    assert masked(json.loads(event), parse_rules(rules)) == json.loads(expected)


@pytest.mark.skipif(not TABLE.exists(), reason="no source of OPA")
def test_the_table_is_read_whole():
    source = TABLE.read_text("utf-8")
    assert len(cases()) == source.count("exp:   `") + source.count("exp:    `") > 40
    rules = sum(len(case.values[0]) for case in cases())
    assert rules == len(
        re.findall(r"\bOP: +maskOP(Remove|Upsert)", source.split("func TestMaskRuleMask")[1])
    )
