"""What type a value has.

Pure. Semantics of OPA v1.22 v1/topdown/type.go and type_name.go.
"""

from __future__ import annotations

from typing import Final

from policy_agent.rego.builtins.operands import is_number
from policy_agent.rego.builtins.registry import Builtin
from policy_agent.rego.values import RegoSet, Value, type_name


def is_string(value: Value) -> bool:
    """Return whether a value is a string."""
    return type(value) is str


def is_boolean(value: Value) -> bool:
    """Return whether a value is a boolean."""
    return type(value) is bool


def is_array(value: Value) -> bool:
    """Return whether a value is an array."""
    return type(value) is list


def is_set(value: Value) -> bool:
    """Return whether a value is a set."""
    return type(value) is RegoSet


def is_object(value: Value) -> bool:
    """Return whether a value is an object."""
    return type(value) is dict


def is_null(value: Value) -> bool:
    """Return whether a value is null."""
    return value is None


BUILTINS: Final = {
    builtin.name: builtin
    for builtin in (
        Builtin("is_number", is_number),
        Builtin("is_string", is_string),
        Builtin("is_boolean", is_boolean),
        Builtin("is_array", is_array),
        Builtin("is_set", is_set),
        Builtin("is_object", is_object),
        Builtin("is_null", is_null),
        Builtin("type_name", type_name),
    )
}
