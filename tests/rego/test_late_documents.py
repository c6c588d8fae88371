"""Base documents that stay text until a decision reads them answer as plain ones do."""

import copy
import json
import time

import pytest

from policy_agent import late_json
from policy_agent.bundle.patch import Operation, patched
from policy_agent.bundle.reader import read_files
from policy_agent.codec import decode_json
from policy_agent.errors import BundleFormatError, DocumentError, PolicyError
from policy_agent.late_json import LateJson, late_paths, read_late
from policy_agent.model import UNDEFINED
from policy_agent.rego import Policy
from tests.conformance.differential import Refused, answers, examples

MODULE = """package app.lookup

one := data.app.users[input.id].name
constant := data.app.users.u1.name
names := {user.name | some user in data.app.users}
all_of_it := data.app.users
size := count(data.app.users)
third := data.app.list[3]
any_element if data.app.list[_] == 4
same if data.app.users == data.app.copy
number := data.app.numbers.exact
replaced := name if name := one with data.app.users as {"u2": {"name": "mocked"}}
passed := named(data.app.users)
named(users) := users.u1.name
keys contains key if data.app.numbers[key]
"""
DATA = (
    '{"users": {"u1": {"name": "ann"}, "u2": {"name": "bob"}}, "list": [1, 2, 3, 4],'
    '"copy": {"u1": {"name": "ann"}, "u2": {"name": "bob"}}, "numbers": {"exact": 1.10}}'
)
RULES = "one constant names all_of_it size third any_element same number replaced passed keys"


@pytest.fixture(autouse=True)
def everything_is_large(monkeypatch):
    monkeypatch.setattr(late_json, "LARGE_BYTES", 1)


def bundle(data=DATA, roots='["app"]', *, lazily=True, files=None):
    content = {
        ".manifest": f'{{"roots": {roots}}}',
        "app/data.json": data,
        "lookup.rego": MODULE,
        **(files or {}),
    }
    return read_files("b", {name: text.encode() for name, text in content.items()}, lazily=lazily)


def policy(found, *, ready: bool = False) -> Policy:
    plan = None
    if ready:
        with Policy.from_modules(found.modules, found.data) as made:
            plan = made.plan()
    return Policy.from_modules(found.modules, copy.copy(found.data), plan=plan)


@pytest.mark.parametrize("ready", [False, True], ids=["sources", "plan"])
@pytest.mark.parametrize("first", RULES.split())
def test_whatever_is_asked_first_every_rule_answers_as_over_plain_documents(first, ready):
    with policy(bundle(), ready=ready) as late, policy(bundle(lazily=False)) as plain:
        for rule in (first, *RULES.split(), ""):
            path = f"app/lookup/{rule}"
            assert late.evaluate(path, {"id": "u2"}) == plain.evaluate(path, {"id": "u2"}), rule
        assert late.evaluate("app") == plain.evaluate("app")
        assert late.evaluate("") == plain.evaluate("")


@pytest.mark.parametrize("ready", [False, True], ids=["sources", "plan"])
@pytest.mark.parametrize(
    "path", [(), ("app",), ("app", "users"), ("app", "users", "u1"), ("app", "list", 3)]
)
def test_documents_are_answered_as_plain_ones(path, ready):
    with policy(bundle(), ready=ready) as late, policy(bundle(lazily=False)) as plain:
        found = late.evaluate(path)
        assert json.dumps(found, default=str) == json.dumps(plain.evaluate(path), default=str)
        assert found is not UNDEFINED


def test_random_policies_answer_as_over_plain_documents():
    for example in examples(8, seed_number=5):
        expected = answers(example)
        text = json.dumps(example.data).encode()
        late = read_late(text, (), lambda path: True)
        try:
            made = Policy.from_modules(example.modules, late, deadline_seconds=20)
        except PolicyError:
            assert isinstance(expected.get(""), Refused)
            continue
        with made:
            for number, value in enumerate(example.inputs):
                name = f"a with input {number}"
                if not isinstance(expected[name], Refused):
                    assert (
                        made.evaluate("a", decode_json(json.dumps(value).encode()))
                        == expected[name]
                    ), str(example.modules)


def test_what_nobody_reads_stays_text():
    found = bundle()
    assert late_paths(found.data) == (("app",),)
    with Policy.from_modules(found.modules, found.data) as made:
        assert made.evaluate("app/lookup/one", {"id": "u1"}) == "ann"
    late = found.data["app"]
    assert isinstance(late, LateJson)
    assert isinstance(late.member("users"), LateJson)


def test_a_value_is_read_once_for_all_versions_of_a_policy():
    late = bundle().data["app"]
    assert late.whole() is late.whole()


@pytest.mark.parametrize(
    "text", ['{"a": [1,]}', '{"a": {"b": nul}}', '{"a": 01}', '{"a": "\\x"}', '{"a": 1} x', '{"a":']
)
def test_what_is_no_json_is_refused_before_anybody_reads_it(text):
    with pytest.raises(BundleFormatError, match=r"app/data\.json"):
        bundle(text)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a": {"x": "\xff"}}',
        b'{"a": {"\xff": 1}}',
        b'{"a": "\\ud800"}',
        b'{"a": {"k": 1, "k": 2}}',
    ],
    ids=["not UTF-8", "key not UTF-8", "lone surrogate", "twice"],
)
def test_what_only_a_lenient_reader_takes_is_read_as_by_it(raw):
    found = read_late(raw, ("app",), lambda path: True)
    assert late_json.opened(found) == decode_json(raw)
    if isinstance(found, LateJson):
        again = read_late(raw, ("app",), lambda path: True)
        again.keep_late("a")
        assert late_json.opened(again.member("a")) == decode_json(raw)["a"]


def test_a_number_that_cannot_be_read_is_refused_at_once():
    raw = b'{"a": ' + b"9" * 5000 + b"}"
    for read in (decode_json, lambda raw: read_late(raw, ("app",), lambda path: True)):
        with pytest.raises(DocumentError, match="4300 digits"):
            read(raw)


def test_only_what_a_root_owns_is_late():
    files = {"app/data.json": '{"users": {"u1": 1}, "lists": {"l": 1}}'}
    found = bundle(roots='["app/users", "app/lists/l", "app/lookup"]', files=files)
    assert late_paths(found.data) == (("app", "users"), ("app", "lists", "l"))
    with pytest.raises(BundleFormatError, match="do not permit data"):
        bundle(roots='["app/users", "app/lookup"]', files=files)


def test_files_that_meet_in_one_document_are_merged():
    found = bundle(files={"app/users/u3/data.json": '{"name": "cid"}'})
    with Policy.from_modules(found.modules, found.data) as made:
        assert made.evaluate("app/lookup/names") == ["ann", "bob", "cid"]


def test_a_delta_changes_a_copy():
    found = bundle()
    changed = patched(found.data, [Operation("upsert", ("app", "users", "u1"), {"name": "eve"})])
    with policy(found) as before, Policy.from_modules(found.modules, changed) as after:
        assert after.evaluate("app/lookup/one", {"id": "u1"}) == "eve"
        assert before.evaluate("app/lookup/one", {"id": "u1"}) == "ann"


def test_rules_may_not_define_what_is_in_a_late_document():
    found = bundle(files={"more.rego": "package app.users\nu1 := 1"})
    with pytest.raises(PolicyError, match="conflicting rule for data path app/users/u1 found"):
        Policy.from_modules(found.modules, found.data)


def test_reading_much_is_not_taken_off_the_time_of_the_evaluation(monkeypatch):
    def slowly(raw):
        time.sleep(0.6)
        return decode_json(raw)

    found = bundle()
    monkeypatch.setattr(late_json, "decode_json", slowly)
    with Policy.from_modules(found.modules, found.data, deadline_seconds=0.5) as made:
        assert made.evaluate("app/lookup/size") == 2
