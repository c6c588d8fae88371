"""The deprecated casts: they return their operand if it has the type, and fail otherwise.

Pure. Semantics of OPA v1.22 v1/topdown/casts.go.
"""

from __future__ import annotations

from typing import Final

from policy_agent.rego.builtins import operands
from policy_agent.rego.builtins.registry import Builtin, operand_type_error
from policy_agent.rego.values import Frozen, RegoSet, Value


def cast_array(value: Value) -> list[Value]:
    """Return an array, or a set's members as one."""
    if type(value) is list:
        return value
    if type(value) is RegoSet:
        return list(value)
    raise operand_type_error(1, value, "array", "set")


def cast_set(value: Value) -> RegoSet:
    """Return a set, or an array's items as one."""
    if type(value) is RegoSet:
        return value
    if type(value) is list:
        return RegoSet.of(value)
    raise operand_type_error(1, value, "array", "set")


def cast_string(value: Value) -> str:
    """Return a string."""
    return operands.need_string(value, 1)


def cast_boolean(value: Value) -> bool:
    """Return a boolean."""
    if type(value) is bool:
        return value
    raise operand_type_error(1, value, "boolean")


def cast_null(value: Value) -> None:
    """Return null."""
    if value is not None:
        raise operand_type_error(1, value, "null")


def cast_object(value: Value) -> dict[Frozen, Value]:
    """Return an object."""
    return operands.need_object(value, 1)


BUILTINS: Final = {
    builtin.name: builtin
    for builtin in (
        Builtin("cast_array", cast_array),
        Builtin("cast_set", cast_set),
        Builtin("cast_string", cast_string),
        Builtin("cast_boolean", cast_boolean),
        Builtin("cast_null", cast_null),
        Builtin("cast_object", cast_object),
    )
}
