"""Writes the JSON form of GraphQL back as GraphQL.

Pure. Objects that a policy hands to OPA's `graphql` built-ins instead of texts become texts here.
"""

from __future__ import annotations

import json
from typing import Any, Final

from policy_agent.rego.builtins.gql_parser import Node

_TEXT_KINDS: Final = (3, 4)
_VARIABLE, _LIST, _OBJECT = 0, 8, 9
_WORDS: Final = {
    "SCALAR": "scalar",
    "OBJECT": "type",
    "INTERFACE": "interface",
    "UNION": "union",
    "ENUM": "enum",
    "INPUT_OBJECT": "input",
}


def print_query(document: Node) -> str:
    """Return a document of operations and fragments as text."""
    parts = []
    for node in document.get("Operations", ()):
        head = (
            f"{node['Operation']} {node.get('Name', '')}{_variables(node, 'VariableDefinitions')}"
        )
        parts.append(f"{head}{_directives(node)}{_selections(node)}")
    for node in document.get("Fragments", ()):
        head = f"fragment {node['Name']}{_variables(node, 'VariableDefinition')}"
        parts.append(f"{head} on {node['TypeCondition']}{_directives(node)}{_selections(node)}")
    return "\n".join(parts)


def _variables(node: Node, key: str) -> str:
    found = [
        f"${each['Variable']}:{_type(each['Type'])}{_default(each)}{_directives(each)}"
        for each in node.get(key, ())
    ]
    return f"({','.join(found)})" if found else ""


def _selections(node: Node) -> str:
    found = node.get("SelectionSet", ())
    return f"{{{' '.join(map(_selection, found))}}}" if found else ""


def _selection(node: Node) -> str:
    if "Alias" in node:
        arguments = _arguments(node)
        return f"{node['Alias']}:{node['Name']}{arguments}{_directives(node)}{_selections(node)}"
    if "Name" in node:
        return f"...{node['Name']}{_directives(node)}"
    condition = f" on {node['TypeCondition']}" if node.get("TypeCondition") else ""
    return f"...{condition}{_directives(node)}{_selections(node)}"


def _arguments(node: Node) -> str:
    found = [f"{each['Name']}:{_value(each['Value'])}" for each in node.get("Arguments", ())]
    return f"({','.join(found)})" if found else ""


def _directives(node: Node) -> str:
    found = (f" @{each['Name']}{_arguments(each)}" for each in node.get("Directives", ()))
    return "".join(found)


def _type(node: Node) -> str:
    inner = f"[{_type(node['Elem'])}]" if "Elem" in node else node["NamedType"]
    return f"{inner}!" if node.get("NonNull") else inner


def _default(node: Node) -> str:
    return f"={_value(node['DefaultValue'])}" if "DefaultValue" in node else ""


def _value(node: Node) -> str:
    kind = node["Kind"]
    children = node.get("Children", ())
    if kind == _LIST:
        return f"[{','.join(_value(each['Value']) for each in children)}]"
    if kind == _OBJECT:
        inner = ",".join(f"{each['Name']}:{_value(each['Value'])}" for each in children)
        return f"{{{inner}}}"
    if kind in _TEXT_KINDS:
        return json.dumps(node.get("Raw", ""), ensure_ascii=False)
    return f"${node['Raw']}" if kind == _VARIABLE else str(node["Raw"])


def print_schema(document: Node) -> str:
    """Return a document of type definitions as text; extensions follow what they extend."""
    parts = [_schema(node) for node in document.get("Schema", ())]
    parts += [f"extend {_schema(node)}" for node in document.get("SchemaExtension", ())]
    for node in document.get("Directives", ()):
        repeatable = " repeatable" if node.get("IsRepeatable") else ""
        head = f"directive @{node['Name']}{_inputs(node, 'Arguments', '()')}{repeatable}"
        parts.append(f"{head} on {'|'.join(node['Locations'])}")
    defined = {node["Name"] for node in document.get("Definitions", ())}
    parts += [_definition(node) for node in document.get("Definitions", ())]
    for node in document.get("Extensions", ()):
        # OPA's library takes an extension of nothing for a definition.
        parts.append(f"{'extend ' if node['Name'] in defined else ''}{_definition(node)}")
        defined.add(node["Name"])
    return "\n".join(parts)


def _schema(node: Node) -> str:
    types = [f"{each['Operation']}:{each['Type']}" for each in node.get("OperationTypes", ())]
    body = f"{{{' '.join(types)}}}" if types else ""
    return f"schema{_directives(node)}{body}"


def _inputs(node: Node, key: str, brackets: str) -> str:
    found = [
        f"{each['Name']}:{_type(each['Type'])}{_default(each)}{_directives(each)}"
        for each in node.get(key, ())
    ]
    return f"{brackets[0]}{' '.join(found)}{brackets[1]}" if found else ""


def _definition(node: Node) -> str:
    kind: Any = node["Kind"]
    interfaces = node.get("Interfaces", ())
    implements = f" implements {'&'.join(interfaces)}" if interfaces else ""
    head = f"{_WORDS[kind]} {node['Name']}{implements}{_directives(node)}"
    if kind == "INPUT_OBJECT":
        return f"{head}{_inputs(node, 'Fields', '{}')}"
    if kind == "UNION":
        types = node.get("Types", ())
        return f"{head}={'|'.join(types)}" if types else head
    if kind == "ENUM":
        entries = [f"{each['Name']}{_directives(each)}" for each in node.get("EnumValues", ())]
    else:
        entries = [
            f"{each['Name']}{_inputs(each, 'Arguments', '()')}:{_type(each['Type'])}"
            f"{_directives(each)}"
            for each in node.get("Fields", ())
        ]
    return f"{head}{{{' '.join(entries)}}}" if entries else head
