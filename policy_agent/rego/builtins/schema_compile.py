"""Checks a JSON Schema and brings it into the form that validation walks.

Pure. Drafts 4, 6 and 7, and a mixture of them when the schema names none, with the words of OPA's
validator. Source: OPA v1.22 internal/gojsonschema/schema.go.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote, urldefrag, urljoin

from msgspec import Struct, field

from policy_agent.codec import encode_json
from policy_agent.rego.builtins.operands import is_number
from policy_agent.rego.builtins.schema_formats import is_regex

TYPES: Final = ("array", "boolean", "integer", "number", "null", "object", "string")
_DRAFTS: Final = {
    "http://json-schema.org/draft-04/schema": 4,
    "http://json-schema.org/draft-06/schema": 6,
    "http://json-schema.org/draft-07/schema": 7,
}
_HYBRID: Final = 99
_TEXTS: Final = ("title", "description")
_COUNTS: Final = (
    ("minLength", "maxLength", "{low} cannot be greater than {high}"),
    ("minProperties", "maxProperties", "{low} cannot be greater than {high}"),
    ("minItems", "maxItems", ""),
)
_SCHEMA: Final = "Valid Schema"
_MAX_EXPONENT: Final = 1_000


class SchemaError(ValueError):
    """A schema is wrong; the message is OPA's."""


class Node(Struct):
    """One schema, checked.

    Attributes:
        verdict: what a schema that is only `true` or `false` says, None for any other.
        target: the schema that `$ref` names.
        keywords: what needs no further reading, such as `minLength`, under the keyword.
        one: subschemas under the keyword, such as `not`.
        many: lists of subschemas under the keyword, such as `anyOf`.
        named: subschemas by property or pattern under the keyword, such as `properties`.
    """

    verdict: bool | None = None
    target: Node | None = None
    types: list[str] = field(default_factory=list)
    keywords: dict[str, Any] = field(default_factory=dict)
    one: dict[str, Node] = field(default_factory=dict)
    many: dict[str, list[Node]] = field(default_factory=dict)
    named: dict[str, dict[str, Node]] = field(default_factory=dict)


def comparable(value: Any) -> str:
    """Return a value's JSON text in which equal numbers are written the same."""
    return encode_json(_plain(value)).decode()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if is_number(value):
        double = float(value)
        return int(double) if double.is_integer() and abs(double) < 1e21 else double
    return value


def is_integral(value: Any) -> bool:
    """Return whether a number has no fraction, however it is written."""
    return isinstance(value, int) or (value.adjusted() < _MAX_EXPONENT and value % 1 == 0)


def _wrong_type(expected: str, given: str) -> SchemaError:
    return SchemaError(f"Invalid type. Expected: {expected}, given: {given}")


class Compiler:
    """Compiles one schema document."""

    def __init__(self, document: Any) -> None:
        self._document = document
        self._targets: dict[str, Node] = {}
        self._ids: dict[str, Any] = {}
        self._draft = _HYBRID
        if isinstance(document, dict) and isinstance(document.get("$schema"), str):
            self._draft = _DRAFTS.get(document["$schema"].removesuffix("#"), _HYBRID)

    def compile(self) -> Node:
        """Return the compiled document.

        Raises:
            SchemaError: it is no schema that OPA accepts.
        """
        try:
            self._collect_ids(self._document, "")
            return self._node(self._document, "")
        except RecursionError:
            raise SchemaError("schema is nested too deeply") from None

    def _collect_ids(self, document: Any, base: str) -> None:
        if isinstance(document, dict):
            identity = document.get("$id", document.get("id"))
            if isinstance(identity, str):
                base = urljoin(base, identity)
                self._ids[base.removesuffix("#")] = document
            for item in document.values():
                self._collect_ids(item, base)
        elif isinstance(document, list):
            for item in document:
                self._collect_ids(item, base)

    def _node(self, document: Any, base: str) -> Node:
        if isinstance(document, bool) and self._draft > 4:
            return Node(verdict=document)
        if not isinstance(document, dict):
            is_root = document is self._document
            raise SchemaError(
                "schema is invalid" if is_root else f"Expected: {_SCHEMA}, given: Invalid JSON"
            )
        node = Node()
        identity = self._text(document, "id" if self._draft == 4 or "id" in document else "$id")
        base = urljoin(base, identity or "")
        self._definitions(document, base)
        for key in _TEXTS:
            self._text(document, key)
        reference = self._text(document, "$ref")
        if reference is not None:
            node.target = self._reference(urljoin(base, reference))
            return node
        self._types(document, node)
        self._objects(document, node, base)
        self._items(document, node, base)
        self._numbers(document, node)
        self._counts(document, node)
        self._values(document, node)
        self._combinations(document, node, base)
        return node

    def _text(self, document: dict[str, Any], key: str) -> str | None:
        value = document.get(key, "")
        if not isinstance(value, str):
            raise _wrong_type("string", key)
        return value if key in document else None

    def _list(self, document: dict[str, Any], key: str) -> list[Any]:
        value = document.get(key, [])
        if not isinstance(value, list):
            raise SchemaError(f"{key} must be of an array")
        return value

    def _definitions(self, document: dict[str, Any], base: str) -> None:
        definitions = document.get("definitions", {})
        if not isinstance(definitions, dict):
            raise _wrong_type("Array Of Schemas", "definitions")
        for name in sorted(definitions):
            if not isinstance(definitions[name], bool | dict):
                raise _wrong_type("Array Of Schemas", "definitions")
            self._node(definitions[name], base)

    def _reference(self, reference: str) -> Node:
        known = self._targets.get(reference)
        if known is not None:
            return known
        target = self._targets[reference] = Node()
        document = self._resolve(reference)
        if not isinstance(document, bool | dict):
            raise SchemaError(f"{_SCHEMA} must be of type object")
        # The node exists before it is filled, so that a schema may contain itself.
        found = self._node(document, urldefrag(reference).url)
        for name in ("verdict", "target", "types", "keywords", "one", "many", "named"):
            setattr(target, name, getattr(found, name))
        return target

    def _resolve(self, reference: str) -> Any:
        if reference.removesuffix("#") in self._ids:
            return self._ids[reference.removesuffix("#")]
        place, fragment = urldefrag(reference)
        document = self._ids.get(place, None if place else self._document)
        if document is None:
            raise SchemaError(f"remote reference loading disabled: {reference}")
        if fragment and not fragment.startswith("/"):
            raise SchemaError('JSON pointer must be empty or start with a "/"')
        for part in fragment.split("/")[1:]:
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(document, dict):
                if key not in document:
                    raise SchemaError(f"Object has no key '{key}'")
                document = document[key]
            elif isinstance(document, list) and key.isdecimal() and int(key) < len(document):
                document = document[int(key)]
            else:
                raise SchemaError(f"Invalid token reference '{key}'")
        return document

    def _types(self, document: dict[str, Any], node: Node) -> None:
        if "type" not in document:
            return
        types = document["type"]
        for name in types if isinstance(types, list) else [types]:
            if not isinstance(name, str):
                raise _wrong_type("type", "string/Array Of Strings")
            if name not in TYPES:
                raise SchemaError(
                    f"has a primitive type that is NOT VALID -- given: /{name}/ "
                    f"Expected valid values are:[{' '.join(TYPES)}]"
                )
            if name in node.types:
                raise SchemaError(f"{name} type is duplicated")
            node.types.append(name)

    def _objects(self, document: dict[str, Any], node: Node, base: str) -> None:
        properties = document.get("properties", {})
        if not isinstance(properties, dict):
            raise SchemaError("Properties must be of type object")
        node.named["properties"] = {
            name: self._node(properties[name], base) for name in sorted(properties)
        }
        self._additional(document, node, base, "additionalProperties")
        patterns = document.get("patternProperties", {})
        if not isinstance(patterns, dict):
            raise _wrong_type(_SCHEMA, "patternProperties")
        for pattern in sorted(patterns):
            if not is_regex(pattern):
                raise SchemaError(f"Invalid regex pattern '{pattern}'")
        node.named["patternProperties"] = {
            pattern: self._node(patterns[pattern], base) for pattern in sorted(patterns)
        }
        if self._draft > 4 and "propertyNames" in document:
            if not isinstance(document["propertyNames"], bool | dict):
                raise _wrong_type(_SCHEMA, "patternProperties")
            node.one["propertyNames"] = self._node(document["propertyNames"], base)
        self._dependencies(document, node, base)

    def _additional(self, document: dict[str, Any], node: Node, base: str, key: str) -> None:
        value = document.get(key, True)
        if not isinstance(value, bool | dict):
            raise _wrong_type(f"boolean/{_SCHEMA}", key)
        if isinstance(value, bool):
            node.keywords[key] = value
        else:
            node.one[key] = self._node(value, base)

    def _dependencies(self, document: dict[str, Any], node: Node, base: str) -> None:
        dependencies = document.get("dependencies", {})
        if not isinstance(dependencies, dict):
            raise SchemaError("dependencies must be of type object")
        wrong = SchemaError("Dependency must be of type Schema Or Array Of Strings")
        names: dict[str, list[str]] = {}
        node.named["dependencies"] = {}
        for name in sorted(dependencies):
            value = dependencies[name]
            if isinstance(value, list):
                if not all(isinstance(each, str) for each in value):
                    raise wrong
                names[name] = value
            elif isinstance(value, bool | dict):
                node.named["dependencies"][name] = self._node(value, base)
            else:
                raise wrong
        node.keywords["dependencies"] = names

    def _items(self, document: dict[str, Any], node: Node, base: str) -> None:
        items = document.get("items")
        if "items" in document:
            each = items if isinstance(items, list) else [items]
            if not all(isinstance(item, bool | dict) for item in each):
                raise _wrong_type(f"{_SCHEMA}/Array Of Schemas", "items")
            if isinstance(items, list):
                node.many["items"] = [self._node(item, base) for item in items]
            else:
                node.one["items"] = self._node(items, base)
        self._additional(document, node, base, "additionalItems")

    def _numbers(self, document: dict[str, Any], node: Node) -> None:
        if "multipleOf" in document:
            if not is_number(document["multipleOf"]):
                raise _wrong_type("Number", "multipleOf")
            if document["multipleOf"] <= 0:
                raise SchemaError("multipleOf must be strictly greater than 0")
            node.keywords["multipleOf"] = document["multipleOf"]
        for key, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
            if key in document:
                if not is_number(document[key]):
                    raise SchemaError(f"{key} must be of a Number")
                node.keywords[key] = document[key]
            if exclusive in document:
                self._exclusive(document[exclusive], node, key, exclusive)

    def _exclusive(self, value: Any, node: Node, key: str, exclusive: str) -> None:
        if isinstance(value, bool) and self._draft in (4, _HYBRID):
            if key not in node.keywords:
                raise SchemaError(f"{exclusive} cannot be used without {key}")
            if value:
                node.keywords[exclusive] = node.keywords.pop(key)
        elif is_number(value) and self._draft > 4:
            node.keywords[exclusive] = value
        else:
            expected = {4: "boolean", _HYBRID: "boolean/number"}.get(self._draft, "number")
            raise _wrong_type(expected, exclusive)

    def _counts(self, document: dict[str, Any], node: Node) -> None:
        for low, high, order in _COUNTS:
            for key in (low, high):
                if key in document:
                    value = document[key]
                    if type(value) is not int:
                        raise SchemaError(f"{key} must be of an integer")
                    if value < 0:
                        raise SchemaError(f"{key} must be greater than or equal to 0")
                    node.keywords[key] = value
            if order and node.keywords.get(low, 0) > node.keywords.get(high, float("inf")):
                raise SchemaError(order.format(low=low, high=high))
            if low == "minLength":
                self._pattern(document, node)
            elif low == "minProperties":
                self._required(document, node)
        unique = document.get("uniqueItems", False)
        if not isinstance(unique, bool):
            raise SchemaError("uniqueItems must be of a boolean")
        node.keywords["uniqueItems"] = unique

    def _pattern(self, document: dict[str, Any], node: Node) -> None:
        pattern = self._text(document, "pattern")
        if pattern is not None:
            if not is_regex(pattern):
                raise SchemaError("pattern must be a valid regex")
            node.keywords["pattern"] = pattern
        node.keywords["format"] = self._text(document, "format")

    def _required(self, document: dict[str, Any], node: Node) -> None:
        required: list[str] = []
        for name in self._list(document, "required"):
            if not isinstance(name, str):
                raise _wrong_type("string", "required")
            if name in required:
                raise SchemaError("required items must be unique")
            required.append(name)
        node.keywords["required"] = required

    def _values(self, document: dict[str, Any], node: Node) -> None:
        if self._draft > 4 and "const" in document:
            node.keywords["const"] = comparable(document["const"])
        if "enum" in document:
            allowed = [comparable(value) for value in self._list(document, "enum")]
            if len(set(allowed)) < len(allowed):
                raise SchemaError("enum items must be unique")
            node.keywords["enum"] = allowed

    def _combinations(self, document: dict[str, Any], node: Node, base: str) -> None:
        if self._draft > 4 and "contains" in document:
            node.one["contains"] = self._node(document["contains"], base)
        for key in ("oneOf", "anyOf", "allOf"):
            node.many[key] = [self._node(item, base) for item in self._list(document, key)]
        for key in ("not", "if", "then", "else"):
            if key in document and (key == "not" or self._draft >= 7):
                if not isinstance(document[key], bool | dict):
                    raise SchemaError(f"{key} must be of an object")
                node.one[key] = self._node(document[key], base)
