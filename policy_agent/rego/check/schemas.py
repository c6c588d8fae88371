"""Types from JSON schemas, and what a schema says of a part of a document.

Pure. Follows OPA v1.22 v1/ast/compile.go (schemaParser) and check.go (override). Only what a schema
says of types is read: of several simple types the first that OPA knows counts, and an object of
known properties has no others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from policy_agent.rego import ast
from policy_agent.rego.check import types
from policy_agent.rego.check.constants import constant_value
from policy_agent.rego.check.environment import Environment
from policy_agent.rego.check.types import Object, Recursive, Type, make_object, resolve, union
from policy_agent.rego.values import Frozen, Value, freeze

_ANY_OBJECT = Object({}, (types.ANY, types.ANY))
_SIMPLE = {
    "boolean": types.BOOLEAN,
    "string": types.STRING,
    "integer": types.NUMBER,
    "number": types.NUMBER,
}


class SchemaError(Exception):
    """A schema that no type can be made of; never leaves the checks."""


def schema_type(schema: Any) -> Type:
    """Return the type of the documents that a JSON schema describes.

    Raises:
        SchemaError: its parts contradict, or a `$ref` leads nowhere.
    """
    return _Reader(schema).read(schema)


class _Reader:
    def __init__(self, root: Any) -> None:
        self._root = root
        self._done: dict[str, Type] = {}
        self._open: dict[str, Recursive] = {}

    def read(self, schema: Any) -> Type:
        if not isinstance(schema, Mapping):
            return types.ANY
        reference = schema.get("$ref")
        if isinstance(reference, str):
            return self._referred(reference)
        if schema.get("anyOf"):
            return self._any_of(schema)
        if schema.get("allOf"):
            return self._all_of(schema)
        return self._plain(schema)

    def _referred(self, reference: str) -> Type:
        if reference in self._done:
            return self._done[reference]
        if reference in self._open:
            return self._open[reference]
        recursive = self._open[reference] = Recursive(reference)
        found = self.read(self._lookup(reference))
        recursive.target = found
        del self._open[reference]
        self._done[reference] = found
        return found

    def _lookup(self, reference: str) -> Any:
        node = self._root
        parts = reference.removeprefix("#").split("/")[1:]
        if not reference.startswith("#"):
            raise SchemaError(f"unable to compile the schema: remote reference {reference}")
        for part in parts:
            key = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(node, Mapping) or key not in node:
                raise SchemaError(f"unable to compile the schema: no {reference}")
            node = node[key]
        return node

    def _any_of(self, schema: Mapping[str, Any]) -> Type:
        result: Type | None = None
        if _names(schema):
            core = self.read({key: part for key, part in schema.items() if key != "anyOf"})
            if isinstance(core, Object) and core.dynamic is None:
                result = core
        for each in schema["anyOf"]:
            result = union(self.read(each), result)
        return result or types.ANY

    def _all_of(self, schema: Mapping[str, Any]) -> Type:
        parts = [self._resolved(each) for each in schema["allOf"]]
        said = ("properties", "items", "type")
        parts = [each for each in parts if any(map(each.get, said)) or not each.get("anyOf")]
        if not parts:
            return types.ANY
        merged = _merge(parts)
        if _names(schema):
            own = {key: part for key, part in schema.items() if key != "allOf"}
            merged = _merge([merged, own])
        return self.read(merged)

    def _resolved(self, schema: Any) -> Mapping[str, Any]:
        seen = set()
        while isinstance(schema, Mapping) and isinstance(schema.get("$ref"), str):
            if schema["$ref"] in seen:
                raise SchemaError(f"unable to compile the schema: {schema['$ref']} is itself")
            seen.add(schema["$ref"])
            schema = self._lookup(schema["$ref"])
        return schema if isinstance(schema, Mapping) else {}

    def _plain(self, schema: Mapping[str, Any]) -> Type:
        names = _names(schema)
        for name, type_ in _SIMPLE.items():
            if name in names:
                return type_
        properties, items = schema.get("properties"), schema.get("items")
        if "object" in names or (properties and not names):
            if not properties:
                return _ANY_OBJECT
            return make_object((key, self.read(part)) for key, part in properties.items())
        if "array" in names or (items and not names):
            if isinstance(items, Sequence):
                return types.Array(tuple(map(self.read, items)))
            return types.Array((), self.read(items) if items else types.ANY)
        return types.ANY


def _names(schema: Mapping[str, Any]) -> tuple[str, ...]:
    names = schema.get("type") or ()
    return (names,) if isinstance(names, str) else tuple(names)


def _merge(parts: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    merged: dict[str, Any] = {}
    for part in map(_with_type, parts):
        if merged and _names(merged) != _names(part):
            have, other = ",".join(_names(merged)), ",".join(_names(part))
            raise SchemaError(f"unable to merge these schemas: type mismatch: {have} and {other}")
        properties = {**merged.get("properties", {}), **part.get("properties", {})}
        merged = {**part, **merged}
        if properties:
            merged["properties"] = properties
    return merged


def _with_type(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if _names(schema):
        return schema
    if schema.get("properties"):
        return {**schema, "type": "object"}
    return {**schema, "type": "array"} if schema.get("items") else schema


def assume(env: Environment, ref: ast.Ref, type_: Type) -> None:
    """Make known in a layer that a document, such as `input.user`, is of a type."""
    prefix = known_prefix(env, ref)
    if prefix is None or len(prefix.path) == len(ref.path):
        env.tree.put((ref.head, *ref.path), type_)
    else:
        path = ref.path[len(prefix.path) :]
        keys = [constant_value(term) for term in path]
        env.tree.put((prefix.head, *prefix.path), override(env.type_of_ref(prefix), keys, type_))


def known_prefix(env: Environment, ref: ast.Ref) -> ast.Ref | None:
    """Return the shortest beginning of a reference whose type is known."""
    for length in range(max(len(ref.path), 1)):
        prefix = ast.Ref(ref.head, ref.path[:length])
        if env.type_of_ref(prefix) is not None:
            return prefix
    return None


def override(whole: Type | None, path: Sequence[Value], type_: Type) -> Type:
    """Return a type with the part at a path replaced."""
    known = resolve(whole)
    key: Frozen = freeze(path[0])
    inner = known.static.get(key) if isinstance(known, Object) else None
    part = override(inner, path[1:], type_) if len(path) > 1 else type_
    if not isinstance(known, Object):
        return make_object([(key, part)], (types.ANY, types.ANY))
    return make_object([*known.static.items(), (key, part)], known.dynamic)
