from __future__ import annotations

import copy

import pytest

from policy_agent.decision_log.mask import masked, parse_rules, withheld
from policy_agent.errors import DecisionLogError


def upsert(path, value=None):
    return {"op": "upsert", "path": path, "value": value}


# The behaviours of OPA v1.22 v1/plugins/logs/mask_test.go, on events of our own.
OPA_CASES = [
    pytest.param(["/input"], {"input": {"a": 1}}, {"erased": ["/input"]}, id="whole input"),
    pytest.param(["/input"], {"input": None}, {"erased": ["/input"]}, id="whole null input"),
    pytest.param(["/result"], {"result": True}, {"erased": ["/result"]}, id="whole result"),
    pytest.param(
        ["/nd_builtin_cache"],
        {"nd_builtin_cache": {"rand.intn": {}}},
        {"erased": ["/nd_builtin_cache"]},
        id="whole built-in cache",
    ),
    pytest.param(
        [upsert("/input", {"b": 2})],
        {"input": {"a": 1}},
        {"input": {"b": 2}, "masked": ["/input"]},
        id="replace input",
    ),
    pytest.param(
        [upsert("/result")],
        {"result": 1},
        {"result": None, "masked": ["/result"]},
        id="replace result by null",
    ),
    pytest.param(["/input/a"], {}, {}, id="remove below absent input"),
    pytest.param([upsert("/input/a", 1)], {}, {}, id="upsert below absent input"),
    pytest.param([upsert("/input", 1)], {}, {}, id="replace absent input"),
    pytest.param(["/result/a"], {}, {}, id="remove below absent result"),
    pytest.param([upsert("/result/a")], {}, {}, id="upsert below absent result"),
    pytest.param(["/input/x"], {"input": {"a": 1}}, {"input": {"a": 1}}, id="remove absent key"),
    pytest.param(
        [upsert("/input/x")],
        {"input": {"a": 1}},
        {"input": {"a": 1, "x": None}, "masked": ["/input/x"]},
        id="upsert absent key with null",
    ),
    pytest.param(
        [upsert("/input/x", "v")],
        {"input": {"a": 1}},
        {"input": {"a": 1, "x": "v"}, "masked": ["/input/x"]},
        id="upsert absent key",
    ),
    pytest.param(
        [upsert("/input/a", [{"b": 1}])],
        {"input": {"a": [1], "c": 2}},
        {"input": {"a": [{"b": 1}], "c": 2}, "masked": ["/input/a"]},
        id="upsert key",
    ),
    pytest.param(
        [upsert("/input/a/b/c", 100)],
        {"input": {"a": {}}},
        {"input": {"a": {"b": {"c": 100}}}, "masked": ["/input/a/b/c"]},
        id="upsert makes objects on the way",
    ),
    pytest.param(["/input/a/b"], {"input": {"a": 1}}, {"input": {"a": 1}}, id="remove in number"),
    pytest.param(
        ["/input/a/b/c"], {"input": {"a": {}}}, {"input": {"a": {}}}, id="remove below absent key"
    ),
    pytest.param(
        [upsert("/input/a/b")], {"input": {"a": 1}}, {"input": {"a": 1}}, id="upsert in number"
    ),
    pytest.param(
        [upsert("/input/a/b")], {"input": {"a": "s"}}, {"input": {"a": "s"}}, id="upsert in string"
    ),
    pytest.param(
        [upsert("/input/a/b")], {"input": {"a": None}}, {"input": {"a": None}}, id="upsert in null"
    ),
    *(
        pytest.param(
            [rule(f"/input/a/{index}/b")],
            {"input": {"a": [{"b": 1}]}},
            {"input": {"a": [{"b": 1}]}},
            id=f"{name} at index {index}",
        )
        for index in ("x", "-1", "1", "", "1_0", "\u0660", "0x0", "9" * 5000)
        for name, rule in (("remove", str), ("upsert", upsert))
    ),
    pytest.param(
        ["/input/a/0"],
        {"input": {"a": [1]}},
        {"input": {"a": []}, "erased": ["/input/a/0"]},
        id="remove element",
    ),
    pytest.param(
        ["/input/a/0", "/input/a/0"],
        {"input": {"a": [1, 2, 3]}},
        {"input": {"a": [3]}, "erased": ["/input/a/0", "/input/a/0"]},
        id="removing shifts what follows",
    ),
    pytest.param(
        ["/input/a/0/b/1"],
        {"input": {"a": [{"b": [1, 2]}]}},
        {"input": {"a": [{"b": [1]}]}, "erased": ["/input/a/0/b/1"]},
        id="remove nested element",
    ),
    pytest.param(
        ["/input/a/0/1"],
        {"input": {"a": [[1, 2]]}},
        {"input": {"a": [[1]]}, "erased": ["/input/a/0/1"]},
        id="remove element of element",
    ),
    pytest.param(
        ["/input/a/0/b"],
        {"input": {"a": [{"b": 1, "c": 2}]}},
        {"input": {"a": [{"c": 2}]}, "erased": ["/input/a/0/b"]},
        id="remove key of element",
    ),
    pytest.param(
        ["/input/a/9"], {"input": {"a": [1]}}, {"input": {"a": [1]}}, id="remove absent element"
    ),
    pytest.param(
        [upsert("/input/a/0", 2)],
        {"input": {"a": [1]}},
        {"input": {"a": [2]}, "masked": ["/input/a/0"]},
        id="upsert element",
    ),
    pytest.param(
        [upsert("/input/a/0/0", 2)],
        {"input": {"a": [[1]]}},
        {"input": {"a": [[2]]}, "masked": ["/input/a/0/0"]},
        id="upsert element of element",
    ),
    pytest.param(
        [upsert("/input/a/1", 2)], {"input": {"a": [1]}}, {"input": {"a": [1]}}, id="no new element"
    ),
    pytest.param(
        ["/input/0"],
        {"input": ["s", "p"]},
        {"input": ["p"], "erased": ["/input/0"]},
        id="remove element of input",
    ),
    pytest.param(
        [upsert("/result/0", "*")],
        {"result": ["s", "p"]},
        {"result": ["*", "p"], "masked": ["/result/0"]},
        id="upsert element of result",
    ),
    pytest.param(["/input/5"], {"input": ["a"]}, {"input": ["a"]}, id="absent element of input"),
    pytest.param(["/input/x"], {"input": ["a"]}, {"input": ["a"]}, id="key of array input"),
    pytest.param(
        ["/input/:path"],
        {"input": {":path": 1, "a$&+=@b": 2}},
        {"input": {"a$&+=@b": 2}, "erased": ["/input/:path"]},
        id="characters that a path segment may hold",
    ),
    pytest.param(
        ["/input//a"],
        {"input": {"": {"a": 1, "b": 2}}},
        {"input": {"": {"b": 2}}, "erased": ["/input//a"]},
        id="empty key",
    ),
    pytest.param(
        ["/input/a/b", "/result/c/d", upsert("/input/a/e", 1)],
        {"input": {"a": {"b": 1, "y": 2}}, "result": {"c": {"d": 1, "z": 2}}},
        {
            "input": {"a": {"y": 2, "e": 1}},
            "result": {"c": {"z": 2}},
            "erased": ["/input/a/b", "/result/c/d"],
            "masked": ["/input/a/e"],
        },
        id="several rules in order",
    ),
    pytest.param(
        ["/input/b"],
        {"input": {"b": 1}, "erased": ["/input/a"]},
        {"input": {}, "erased": ["/input/a", "/input/b"]},
        id="adds to erased",
    ),
]


@pytest.mark.parametrize(("rules", "event", "expected"), OPA_CASES)
def test_rules_do_what_opa_does(rules, event, expected):
    before = copy.deepcopy(event)
    assert masked(event, parse_rules(rules)) == expected
    assert event == before


SPECIAL = [
    pytest.param("/input/a b", {"a b"}, "/input/a%20b", id="space"),
    pytest.param("/input/a%20b", {"a b", "a%20b"}, "/input/a%2520b", id="escaped space"),
    pytest.param("/input/é", {"é"}, "/input/%C3%A9", id="not ASCII"),
    pytest.param("/input/%C3%A9", {"é"}, "/input/%25C3%25A9", id="escaped not ASCII"),
    pytest.param("/input/100%25", {"100%"}, "/input/100%2525", id="percent"),
    pytest.param("/input/a%2Fb", {"a/b"}, "/input/a%252Fb", id="slash"),
    pytest.param("/input/a;b", {"a;b", "a%3Bb"}, "/input/a%3Bb", id="as OPA looks it up"),
]


@pytest.mark.parametrize(("path", "keys", "label"), SPECIAL)
def test_keys_with_special_characters_are_found_as_they_are_and_escaped(path, keys, label):
    event = {"input": {**dict.fromkeys(keys, "secret"), "other": 1}}
    assert masked(event, parse_rules([path])) == {"input": {"other": 1}, "erased": [label]}
    replaced = masked(event, parse_rules([upsert(path, "*")]))
    assert replaced == {"input": {**dict.fromkeys(keys, "*"), "other": 1}, "masked": [label]}


def test_special_keys_are_found_on_the_way_too():
    event = {"input": {"a b": {"c": 1, "d": 2}}}
    assert masked(event, parse_rules(["/input/a b/c"]))["input"] == {"a b": {"d": 2}}


BAD_RULES = [
    pytest.param(None, "is not an array or set", id="null"),
    pytest.param({"op": "remove"}, "is not an array or set", id="object"),
    pytest.param("/input", "is not an array or set", id="string"),
    pytest.param([["/input"]], "is neither a string nor an object", id="array as rule"),
    pytest.param([1], "is neither a string nor an object", id="number as rule"),
    pytest.param([""], "has no path with a leading slash", id="empty path"),
    pytest.param(["input/a"], "has no path with a leading slash", id="no slash"),
    pytest.param(["/"], "has a path that is not under /input, /result", id="no prefix"),
    pytest.param(["/labels/a"], "has a path that is not under", id="bad prefix"),
    pytest.param(["/inputs"], "has a path that is not under", id="similar prefix"),
    pytest.param(["/input/a/%F/b"], "has a path with a bad percent escape", id="bad escape"),
    pytest.param(["/input" + "/a" * 129], "more than 128 segments", id="too deep"),
    pytest.param([{"op": "add", "path": "/input"}], "has an op other than", id="bad op"),
    pytest.param([{"op": ["remove"], "path": "/input"}], "has an op other than", id="op is array"),
    pytest.param([{"path": "/input"}], "has an op other than", id="no op"),
    pytest.param([{"op": "upsert"}], "has no path with a leading slash", id="no path"),
    pytest.param([{"op": "remove", "path": 1}], "has no path", id="path is number"),
]


@pytest.mark.parametrize(("rules", "message"), BAD_RULES)
def test_a_bad_rule_is_refused(rules, message):
    with pytest.raises(DecisionLogError, match=message):
        parse_rules(rules)


def test_a_refusal_names_the_rule_by_number_and_does_not_quote_it():
    with pytest.raises(DecisionLogError) as caught:
        parse_rules(["/input/a", "/hunter2"])
    assert "rule 2" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_sets_of_rules_are_taken_in_sorted_order():
    event = {"input": {"a": 1, "b": 2}}
    rules = parse_rules({"/input/b", "/input/a"})
    assert masked(event, rules)["erased"] == ["/input/a", "/input/b"]


def test_a_path_of_the_greatest_depth_can_be_made():
    event = masked({"input": {}}, parse_rules([upsert("/input" + "/a" * 128, 1)]))
    node, depth = event["input"], 0
    while node != 1:
        node, depth = node["a"], depth + 1
    assert depth == 128


def test_withheld_event_keeps_the_rest_and_says_why():
    event = {"path": "p", "input": 1, "result": 2, "nd_builtin_cache": 3, "custom": {"k": 1}}
    assert withheld(event, "why") == {
        "path": "p",
        "erased": ["/input", "/result", "/nd_builtin_cache"],
        "custom": {"k": 1, "withheld": "why"},
    }
    assert withheld({"path": "p"}, "why") == {"path": "p", "custom": {"withheld": "why"}}
