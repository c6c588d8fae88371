"""Validates a document against a compiled JSON Schema and lists what is wrong with it.

Pure. Source: OPA v1.22 internal/gojsonschema/validation.go and locales.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final, NamedTuple

from msgspec import Struct, field

from policy_agent.rego.builtins.go_text import to_bytes
from policy_agent.rego.builtins.operands import is_number
from policy_agent.rego.builtins.schema_compile import Node, comparable, is_integral
from policy_agent.rego.builtins.schema_formats import has_format, pattern

_ROOT: Final = "(Root)"
_SCIENTIFIC_FROM: Final = 6


class Problem(NamedTuple):
    """One thing that is wrong: its type, where and a sentence."""

    type: str
    field: str
    description: str

    def to_json(self) -> dict[str, str]:
        """Return the object that `json.match_schema` lists."""
        return {
            "type": self.type,
            "field": self.field,
            "desc": self.description,
            "error": f"{self.field}: {self.description}",
        }


class _Result(Struct):
    """What a schema found, and how near the document came to it."""

    problems: list[Problem] = field(default_factory=list)
    score: int = 0

    def merge(self, other: _Result) -> None:
        self.problems += other.problems
        self.score += other.score


def validate(schema: Node, document: Any) -> list[Problem]:
    """Return what is wrong with a document, in OPA's order with properties in order of name."""
    result = _Result()
    _Check(schema, document, (_ROOT,), result).run()
    return result.problems


def _examine(schema: Node, value: Any, path: tuple[str, ...]) -> _Result:
    result = _Result()
    _Check(schema, value, path, result).run()
    return result


class _Check(Struct):
    """One value against one schema."""

    schema: Node
    value: Any
    path: tuple[str, ...]
    result: _Result

    def add(self, kind: str, description: str) -> None:
        self.result.problems.append(Problem(kind, self.place, description))
        self.result.score -= 2

    @property
    def place(self) -> str:
        return ".".join(self.path[1:] if len(self.path) > 1 else self.path)

    def run(self) -> None:
        while self.schema.target is not None:
            self.schema = self.schema.target
            self.result.score += 1
        if self.schema.verdict is not None:
            if not self.schema.verdict:
                self.add("false", "False always fails validation")
            return
        if self.has_type():
            self.keywords()
            self.result.score += 1

    def has_type(self) -> bool:
        types, given = self.schema.types, _type(self.value)
        if not types or given in types or (given == "integer" and "number" in types):
            return True
        expected = types[0] if len(types) == 1 else f"[{','.join(types)}]"
        self.add("invalid_type", f"Invalid type. Expected: {expected}, given: {given}")
        return False

    def keywords(self) -> None:
        self.combinations()
        if isinstance(self.value, list):
            self.array(self.value)
        elif isinstance(self.value, dict):
            self.object(self.value)
        elif is_number(self.value):
            self.number(self.value)
        self.common()
        if isinstance(self.value, str):
            self.text(self.value)
        elif isinstance(self.value, dict):
            for name, schema in self.schema.named["properties"].items():
                if name in self.value:
                    self.child(schema, name, self.value[name])

    def child(self, schema: Node, name: str, value: Any) -> None:
        _Check(schema, value, (*self.path, name), self.result).run()

    def combinations(self) -> None:
        many, one = self.schema.many, self.schema.one
        if many["anyOf"]:
            self.any_of(many["anyOf"])
        if many["oneOf"]:
            self.one_of(many["oneOf"])
        if many["allOf"]:
            results = [_examine(each, self.value, self.path) for each in many["allOf"]]
            for each in results:
                self.result.merge(each)
            if any(each.problems for each in results):
                self.add("number_all_of", "Must validate all the schemas (allOf)")
        if "not" in one and not _examine(one["not"], self.value, self.path).problems:
            self.add("number_not", "Must not validate the schema (not)")
        if isinstance(self.value, dict):
            self.dependencies(self.value)
        if "if" in one:
            self.condition()
        self.result.score += 1

    def any_of(self, schemas: list[Node]) -> None:
        results = []
        for schema in schemas:
            results.append(_examine(schema, self.value, self.path))
            if not results[-1].problems:
                return
        self.add("number_any_of", "Must validate at least one schema (anyOf)")
        self.result.merge(_nearest(results))

    def one_of(self, schemas: list[Node]) -> None:
        results = [_examine(each, self.value, self.path) for each in schemas]
        valid = sum(not each.problems for each in results)
        if valid != 1:
            self.add("number_one_of", "Must validate one and only one schema (oneOf)")
        if not valid:
            self.result.merge(_nearest(results))

    def dependencies(self, value: dict[str, Any]) -> None:
        names, schemas = self.schema.keywords["dependencies"], self.schema.named["dependencies"]
        for name in sorted(value):
            for needed in names.get(name, ()):
                if needed not in value:
                    self.add("missing_dependency", f"Has a dependency on {needed}")
            if name in schemas:
                _Check(schemas[name], value, self.path, self.result).run()

    def condition(self) -> None:
        one = self.schema.one
        holds = not _examine(one["if"], self.value, self.path).problems
        branch, words = ("then", "was valid") if holds else ("else", "was not valid")
        if branch in one:
            result = _examine(one[branch], self.value, self.path)
            if result.problems:
                self.add(f"condition_{branch}", f'Must validate "{branch}" as "if" {words}')
                self.result.merge(result)

    def common(self) -> None:
        keywords = self.schema.keywords
        if "const" in keywords and comparable(self.value) != keywords["const"]:
            self.add("const", f"{self.place} does not match: {keywords['const']}")
        if "enum" in keywords and comparable(self.value) not in keywords["enum"]:
            allowed = ", ".join(keywords["enum"])
            self.add("enum", f"{self.place} must be one of the following: {allowed}")
        name = keywords["format"]
        if name and not has_format(name, self.value):
            self.add("format", f"Does not match format '{name}'")
        self.result.score += 1

    def array(self, value: list[Any]) -> None:
        keywords, one = self.schema.keywords, self.schema.one
        for index, schema in self.item_schemas(len(value)):
            self.result.merge(_examine(schema, value[index], (*self.path, str(index))))
        listed = self.schema.many.get("items", [])
        if listed and len(value) > len(listed) and keywords.get("additionalItems") is False:
            self.add("array_no_additional_items", "No additional items allowed on array")
        if len(value) < keywords.get("minItems", 0):
            text = f"Array must have at least {keywords['minItems']} items"
            self.add("array_min_items", text)
        if "maxItems" in keywords and len(value) > keywords["maxItems"]:
            self.add("array_max_items", f"Array must have at most {keywords['maxItems']} items")
        if keywords["uniqueItems"]:
            self.unique(value)
        if "contains" in one:
            results = []
            for index, item in enumerate(value):
                results.append(_examine(one["contains"], item, (*self.path, str(index))))
                if not results[-1].problems:
                    break
            else:
                self.add("contains", "At least one of the items must match")
                self.result.merge(_nearest(results))
        self.result.score += 1

    def item_schemas(self, count: int) -> Iterator[tuple[int, Node]]:
        one = self.schema.one
        if "items" in one:
            yield from ((index, one["items"]) for index in range(count))
            return
        listed = self.schema.many.get("items", [])
        yield from enumerate(listed[:count])
        if listed and "additionalItems" in one:
            yield from ((index, one["additionalItems"]) for index in range(len(listed), count))

    def unique(self, value: list[Any]) -> None:
        seen: dict[str, int] = {}
        for index, item in enumerate(value):
            text = comparable(item)
            if text in seen:
                self.add("unique", f"array items[{seen[text]},{index}] must be unique")
            seen[text] = index

    def object(self, value: dict[str, Any]) -> None:
        keywords, one = self.schema.keywords, self.schema.one
        if len(value) < keywords.get("minProperties", 0):
            text = f"Must have at least {keywords['minProperties']} properties"
            self.add("array_min_properties", text)
        if "maxProperties" in keywords and len(value) > keywords["maxProperties"]:
            text = f"Must have at most {keywords['maxProperties']} properties"
            self.add("array_max_properties", text)
        for name in keywords["required"]:
            if name in value:
                self.result.score += 1
            else:
                self.add("required", f"{name} is required")
        for name in sorted(value):
            self.property(name, value[name])
        if "propertyNames" in one:
            for name in sorted(value):
                result = _examine(one["propertyNames"], name, self.path)
                if result.problems:
                    text = f'Property name of "{name}" does not match'
                    self.add("invalid_property_name", text)
                    self.result.merge(result)
        self.result.score += 1

    def property(self, name: str, value: Any) -> None:
        """Check a property that `patternProperties` or `additionalProperties` describes."""
        matched = False
        for regex, schema in self.schema.named["patternProperties"].items():
            if _matches(regex, name):
                matched = True
                self.result.merge(_examine(schema, value, (*self.path, name)))
        if matched:
            self.result.score += 1
        elif name not in self.schema.named["properties"]:
            if self.schema.keywords.get("additionalProperties") is False:
                text = f"Additional property {name} is not allowed"
                self.add("additional_property_not_allowed", text)
            elif "additionalProperties" in self.schema.one:
                other = self.schema.one["additionalProperties"]
                self.result.merge(_examine(other, value, (*self.path, name)))

    def text(self, value: str) -> None:
        keywords = self.schema.keywords
        if len(value) < keywords.get("minLength", 0):
            text = f"String length must be greater than or equal to {keywords['minLength']}"
            self.add("string_gte", text)
        if "maxLength" in keywords and len(value) > keywords["maxLength"]:
            text = f"String length must be less than or equal to {keywords['maxLength']}"
            self.add("string_lte", text)
        if "pattern" in keywords and not _matches(keywords["pattern"], value):
            self.add("pattern", f"Does not match pattern '{keywords['pattern']}'")
        self.result.score += 1

    def number(self, value: Any) -> None:
        keywords = self.schema.keywords
        exact = Fraction(value)
        step = keywords.get("multipleOf")
        if step is not None and (exact / Fraction(step)).denominator != 1:
            self.add("multiple_of", f"Must be a multiple of {_shown(step)}")
        limits = (
            ("maximum", "number_lte", exact.__gt__, "less than or equal to"),
            ("exclusiveMaximum", "number_lt", exact.__ge__, "less than"),
            ("minimum", "number_gte", exact.__lt__, "greater than or equal to"),
            ("exclusiveMinimum", "number_gt", exact.__le__, "greater than"),
        )
        for key, kind, exceeds, words in limits:
            if key in keywords and exceeds(Fraction(keywords[key])):
                self.add(kind, f"Must be {words} {_shown(keywords[key])}")
        self.result.score += 1


def _nearest(results: list[_Result]) -> _Result:
    """Return the first result of the highest score, an empty one if there is none."""
    return max(results, key=lambda each: each.score, default=_Result())


def _type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if is_number(value):
        return "integer" if is_integral(value) else "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _matches(regex: str, text: str) -> bool:
    return pattern(regex).search(to_bytes(text))


def _shown(number: Any) -> str:
    """Write a number as Go writes a big.Float: shortest, with an exponent from 1e+06 on."""
    double = float(number)
    power = int(f"{double:e}".partition("e")[2])
    if -4 <= power < _SCIENTIFIC_FROM:
        return repr(double).removesuffix(".0")
    digits = repr(double).lstrip("-").partition("e")[0].replace(".", "").strip("0")
    point = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{'-' if double < 0 else ''}{digits[0]}{point}e{power:+03}"
