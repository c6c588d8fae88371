"""`json.patch`: RFC 6902 on Rego values, sets included.

Pure. Semantics of OPA v1.22 v1/topdown/json.go and internal/edittree: objects are edited by key,
arrays by index, sets by member. No value is changed; edits copy what lies on their path.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from policy_agent.model import UNDEFINED
from policy_agent.rego.builtins import operands
from policy_agent.rego.builtins.json_pointer import parse_path
from policy_agent.rego.builtins.objects import child
from policy_agent.rego.builtins.registry import BuiltinError
from policy_agent.rego.builtins.value_text import value_text
from policy_agent.rego.values import Frozen, RegoSet, Value, equal, freeze, type_name

_GO_TYPES: Final = {
    "null": "ast.Null",
    "boolean": "ast.Boolean",
    "number": "ast.Number",
    "string": "ast.String",
}
# A change to the container that a path's last step leads into.
Edit = Callable[[Value, Value], Value]


def patch(whole: Value, operations: Value) -> Value:
    """Return a value after some operations, one after the other.

    Raises:
        BuiltinError: an operation is malformed or impossible.
    """
    for operation in operands.need_array(operations, 2):
        if type(operation) is not dict:
            raise BuiltinError(
                "must be an array of JSON-Patch objects, but at least one element is not an object"
            )
        whole = _apply(whole, operation)
    return whole


def _attribute(operation: dict[Frozen, Value], name: str) -> Value:
    if name not in operation:
        raise BuiltinError(f"missing required attribute '{name}'")
    return operation[name]


def _apply(whole: Value, operation: dict[Frozen, Value]) -> Value:
    pointer, name = _attribute(operation, "path"), _attribute(operation, "op")
    if type(name) is not str:
        raise BuiltinError(f"attribute 'op' must be a string but found: {type_name(name)}")
    path = parse_path(pointer)
    match name:
        case "add":
            return _insert(whole, path, _attribute(operation, "value"))
        case "remove":
            return _delete(whole, path)
        case "replace":
            without = _delete(whole, path)
            return _insert(without, path, _attribute(operation, "value"))
        case "move" | "copy":
            origin = parse_path(_attribute(operation, "from"))
            item = _find(whole, origin)
            return _insert(_delete(whole, origin) if name == "move" else whole, path, item)
        case "test":
            _test(_find(whole, path), _attribute(operation, "value"))
            return whole
    raise BuiltinError(f"unrecognized op: '{name}'")


def _test(found: Value, wanted: Value) -> None:
    if not equal(found, wanted):
        raise BuiltinError(
            "value from EditTree != patch value.\n\n"
            f"Expected: {value_text(wanted)}\n\nFound: {value_text(found)}"
        )


def _index(length: int, key: Value) -> int:
    if type(key) is str:
        return _pointer_index(length, key)
    if not operands.is_number(key):
        raise BuiltinError("invalid type for indexing")
    index = operands.int64_or_none(key)
    if index is None:
        raise BuiltinError("invalid number type for indexing")
    return index


def _pointer_index(length: int, key: str) -> int:
    if key == "-":
        return length
    if not key.removeprefix("-").isascii() or not key.removeprefix("-").isdigit():
        raise BuiltinError("invalid string for indexing")
    if key != "0" and key.startswith("0"):
        raise BuiltinError("leading zeros are not allowed in JSON paths")
    return int(key)


def _step(value: Value, key: Value) -> Value:
    kind = type(value)
    if kind is list:
        key = _index(len(value), key)
    elif kind is not dict and kind is not RegoSet:
        raise _not_composite(value, f" for path {value_text(key)}")
    found = child(value, key)
    if found is UNDEFINED:
        where = f"{type_name(value)} term {value_text(value)}"
        raise BuiltinError(f"path {value_text(key)} does not exist in {where}")
    return found


def _not_composite(value: Value, where: str) -> BuiltinError:
    kind = _GO_TYPES.get(type_name(value), "")
    return BuiltinError(
        f"expected composite type{where}, found value: {value_text(value)} (type: {kind})"
    )


def _find(whole: Value, path: list[Value]) -> Value:
    if whole is UNDEFINED and path:
        raise BuiltinError("nil value encountered where composite value was expected")
    for key in path:
        whole = _step(whole, key)
    return whole


def _insert(whole: Value, path: list[Value], item: Value) -> Value:
    return _edit(whole, path, lambda value, key: _inserted(value, key, item)) if path else item


def _delete(whole: Value, path: list[Value]) -> Value:
    if whole is UNDEFINED:
        raise BuiltinError("deleted node encountered during delete operation")
    return _edit(whole, path, _deleted) if path else UNDEFINED


def _edit(whole: Value, path: list[Value], edit: Edit) -> Value:
    passed = [_find(whole, path[:depth]) for depth in range(len(path))]
    changed = edit(passed[-1], path[-1])
    for value, key in zip(passed[-2::-1], path[-2::-1], strict=True):
        changed = _exchanged(value, key, changed)
    return changed


def _exchanged(value: Value, key: Value, item: Value) -> Value:
    if type(value) is dict:
        return {**value, freeze(key): item}
    if type(value) is list:
        index = _index(len(value), key)
        return [*value[:index], item, *value[index + 1 :]]
    frozen = freeze(key)
    return RegoSet.of([item, *(other for at, other in value.members.items() if at != frozen)])


def _inserted(value: Value, key: Value, item: Value) -> Value:
    kind = type(value)
    if value is UNDEFINED:
        raise BuiltinError("deleted node encountered during insert operation")
    if kind is dict:
        return {**value, freeze(key): item}
    if kind is list:
        index = _index(len(value), key)
        if not 0 <= index <= len(value):
            raise BuiltinError("index for array insertion out of bounds")
        return [*value[:index], item, *value[index:]]
    if kind is RegoSet:
        if not equal(key, item):
            texts = f"{value_text(key)} does not equal value to be inserted {value_text(item)}"
            raise BuiltinError(f"set key {texts}")
        return RegoSet({**value.members, freeze(key): item})
    raise _not_composite(value, "")


def _deleted(value: Value, key: Value) -> Value:
    kind = type(value)
    if kind is list:
        index = _index(len(value), key)
        if not 0 <= index < len(value):
            raise BuiltinError("index for array delete out of bounds")
        return [*value[:index], *value[index + 1 :]]
    if kind is not dict and kind is not RegoSet:
        raise _not_composite(value, "")
    if child(value, key) is UNDEFINED:
        raise BuiltinError(f"cannot delete child key {value_text(key)} that does not exist")
    frozen = freeze(key)
    items = value if kind is dict else value.members
    rest = {at: item for at, item in items.items() if at != frozen}
    return rest if kind is dict else RegoSet(rest)
