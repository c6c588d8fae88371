"""A YAML loader that yields JSON values only; imported when there is YAML to read."""

from __future__ import annotations

import re
from typing import Any

import yaml

_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class JsonYamlLoader(_BASE):  # type: ignore[misc] # the C loader has no usable type
    """SafeLoader with YAML 1.2 booleans, no dates, and keys as strings."""


# YAML 1.1's types that JSON does not have; `=` is a string in every YAML 1.2 reader.
_LEFT_OUT = {f"tag:yaml.org,2002:{name}" for name in ("bool", "timestamp", "value")}

JsonYamlLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _LEFT_OUT]
    for first, resolvers in _BASE.yaml_implicit_resolvers.items()
}
JsonYamlLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool",
    re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"),
    list("tTfF"),
)


def _mapping(loader: Any, node: yaml.MappingNode) -> dict[str, Any]:
    loader.flatten_mapping(node)
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if isinstance(key, list | dict):
            problem = "a key must be a scalar"
            raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
        result[_key_text(key)] = loader.construct_object(value_node, deep=True)
    return result


def _key_text(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return "null" if key is None else str(key)


JsonYamlLoader.add_constructor("tag:yaml.org,2002:map", _mapping)
# `<<` merges as a key; anywhere else it is a string.
JsonYamlLoader.add_constructor(
    "tag:yaml.org,2002:merge", lambda loader, node: loader.construct_scalar(node)
)
