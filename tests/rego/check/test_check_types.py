"""The lattice of types: order, sums, parts and what has a value in common."""

from __future__ import annotations

import pytest

from policy_agent.rego.check import types
from policy_agent.rego.check.compatible import compatible
from policy_agent.rego.check.signatures import parse
from policy_agent.rego.check.type_tree import merge
from policy_agent.rego.check.wording import difference, type_text


def read(text):
    return parse(f"f() -> {text}").result


@pytest.mark.parametrize(
    ("left", "right", "wanted"),
    [
        ("string", "string", "string"),
        ("string", "number", "any<number, string>"),
        ("any", "string", "any"),
        ("string | number", "null", "any<null, number, string>"),
        ("string | number", "null | string", "any<null, number, string>"),
        ("array[any]", "array[string]", "any<array[string], array[any]>"),
        ("set[string]", "set[string]", "set[string]"),
    ],
)
def test_the_union_lists_each_type_once_in_order(left, right, wanted):
    assert type_text(types.union(read(left), read(right))) == wanted
    assert type_text(types.union(read(right), read(left))) == wanted


def test_the_union_with_an_unknown_type_is_the_other():
    assert types.union(None, types.STRING) is types.STRING
    assert types.union(types.STRING, None) is types.STRING


def test_the_union_of_a_function_and_a_value_is_unknown():
    assert types.union(parse("f(any) -> any"), types.STRING) is None


@pytest.mark.parametrize(
    ("type_", "key", "wanted"),
    [
        ("array<string, number>", 1, "number"),
        ("array<string>", 1, "???"),
        ("array<string>[null]", 5, "null"),
        ("array[string]", "a", "???"),
        ("object<a: string>", "a", "string"),
        ("object<a: string>", "b", "???"),
        ("object<a: string>[string: number]", "b", "number"),
        ("object[string: number]", 1, "???"),
        ("set[string]", "a", "string"),
        ("set[string]", 1, "???"),
        ("any", "a", "any"),
        ("string | object[string: number]", "a", "number"),
        ("string", "a", "???"),
    ],
)
def test_select_gives_the_type_under_a_key(type_, key, wanted):
    assert type_text(types.select(read(type_), key)) == wanted


@pytest.mark.parametrize(
    ("left", "right", "wanted"),
    [
        ("any", "null", True),
        ("string | number", "number", True),
        ("string | number", "null", False),
        ("array<string, number>", "array[any]", True),
        ("array<string, number>", "array[string]", False),
        ("array<string>", "array<string, string>", False),
        ("object<a: string>", "object[string: string]", True),
        ("object<a: string>", "object<b: string>", False),
        ("object<a: string>", "object<b: string>[any: any]", True),
        ("set[string]", "set[number]", False),
        ("set[string]", "array[string]", False),
    ],
)
def test_types_are_compatible_when_a_value_may_be_of_both(left, right, wanted):
    assert compatible(read(left), read(right)) is wanted
    assert compatible(read(right), read(left)) is wanted


def test_the_empty_set_is_of_every_type_of_set():
    assert compatible(types.Set(), read("set[string]"))


def test_unknown_types_are_compatible_with_nothing():
    assert not compatible(None, types.ANY)


def test_rules_of_one_object_widen_its_keys_and_values():
    merged = merge(read("object[string: number]"), read("object[number: string]"))
    assert type_text(merged) == "object[any<number, string>: any<number, string>]"


def test_only_what_differs_is_shown():
    left, right = difference(
        read("object<a: string, b: array[any]>"), read("object<a: string, b: array[string]>")
    )
    assert left == "object<b: array[any], ...>"
    assert right == "object<b: array[string], ...>"


def test_a_recursive_type_is_printed_by_its_name():
    recursive = types.Recursive("#/node")
    recursive.target = types.make_object([("next", recursive)])
    assert type_text(recursive.target) == "object<next: recursive(#/node)>"
    assert not types.is_unknown(recursive)
    assert compatible(types.select(recursive, "next"), types.ANY)
