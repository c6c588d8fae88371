"""The declarations of built-in functions are OPA's, and are read as they are written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from policy_agent.rego.check import signatures
from policy_agent.rego.check.signatures import parse, signature
from policy_agent.rego.check.type_json import type_json
from policy_agent.rego.check.wording import type_text

CAPABILITIES = (
    Path(
        os.environ.get("OPA_SOURCE")
        or Path.home() / "go/pkg/mod/github.com/open-policy-agent/opa@v1.22.0"
    )
    / "capabilities.json"
)


@pytest.fixture
def builtins():
    return {each["name"]: each for each in json.loads(CAPABILITIES.read_text())["builtins"]}


@pytest.mark.opa
@pytest.mark.skipif(not CAPABILITIES.is_file(), reason="no source of OPA: set OPA_SOURCE")
def test_declarations_are_those_of_opas_capabilities(builtins):
    assert signatures.names() == builtins.keys()
    for name, wanted in builtins.items():
        function = signature(name)
        assert function is not None
        assert type_json(function) == wanted["decl"], name


@pytest.mark.opa
@pytest.mark.skipif(not CAPABILITIES.is_file(), reason="no source of OPA: set OPA_SOURCE")
def test_properties_of_functions_are_those_of_opas_capabilities(builtins):
    def having(key):
        return {name for name, each in builtins.items() if each.get(key)}

    assert having("infix") == signatures.INFIX.keys()
    assert all(builtins[name]["infix"] == text for name, text in signatures.INFIX.items())
    assert having("deprecated") == signatures.DEPRECATED
    assert having("relation") == signatures.RELATIONS
    assert having("nondeterministic") == signatures.NONDETERMINISTIC


@pytest.mark.parametrize(
    ("declaration", "wanted"),
    [
        ("f(x: string) -> y: number", "(string) => number"),
        ("f() -> any", "() => any"),
        ("f(any...) -> nothing", "(any...) => ???"),
        ("f(a: set[any] | number) -> b: null", "(any<number, set[any]>) => null"),
        ("f(array<boolean, string>[any]) -> any", "(array<boolean, string>[any]) => any"),
        ("f(object<k: string>[any: number]) -> any", "(object<k: string>[any: number]) => any"),
        ("f(set[any<string>]) -> some name: any", "(set[any<string>]) => any"),
    ],
)
def test_a_declaration_is_read_as_opa_would_print_it(declaration, wanted):
    assert type_text(parse(declaration)) == wanted


def test_names_of_arguments_are_kept_for_messages():
    assert parse("f(delimiter: string, number) -> out: string").names == ("delimiter", "")


def test_an_unknown_function_has_no_signature():
    assert signature("no.such") is None
