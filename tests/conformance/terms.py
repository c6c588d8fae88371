"""Write random terms of a wanted type: the part of the generator below statements."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Type:
    """A type of values; objects have text keys."""

    kind: str
    item: Type | None = None


NUMBER, STRING, BOOLEAN = Type("number"), Type("string"), Type("boolean")
NUMBERS = [-1, 0, 1, 2, 3, 1.5]
KEYS = ["a", "b", "c", ""]


def ARRAY(item: Type) -> Type:  # noqa: N802
    return Type("array", item)


def SET(item: Type) -> Type:  # noqa: N802
    return Type("set", item)


def OBJECT(item: Type) -> Type:  # noqa: N802
    return Type("object", item)


@dataclass(frozen=True, slots=True)
class Known:
    """A rule that later rules may use; a function where it has arguments."""

    package: str
    name: str
    type: Type
    text: tuple[str, ...]
    arguments: tuple[Type, ...] | None = None

    @property
    def path(self) -> str:
        return f"data.{self.package}.{self.name}"


class Scope:
    """The local variables that are bound, by type; names are unique within a rule."""

    def __init__(self, bound: list[tuple[str, Type]] | None = None, count: list[int] | None = None):
        self.bound = bound or []
        self._count = count or [0]

    def new(self, type_: Type) -> str:
        """Bind a new variable."""
        self._count[0] += 1
        name = f"x{self._count[0]}"
        self.bound.append((name, type_))
        return name

    def copy(self) -> Scope:
        """Return an inner scope: what it binds is not bound outside."""
        return Scope(list(self.bound), self._count)

    def of(self, type_: Type) -> list[str]:
        return [name for name, bound in self.bound if bound == type_]


# What data and input hold, by type: {s} is a key, {i} an index.
REFERENCES: dict[Type, list[str]] = {
    NUMBER: [
        "input.n",
        "input.items[{i}].id",
        "input.scores[{s}]",
        "data.a.base.nums[{i}]",
        "data.a.base.scores[{s}]",
        "data.a.base.users[{s}].age",
        "data.a.base.grid[{i}][{i}]",
        "stock.nums[{i}]",
    ],
    STRING: [
        "input.user",
        "input.tags[{i}]",
        "input.items[{i}].kind",
        "input.roles[{s}][{i}]",
        "data.a.base.names[{i}]",
        "data.a.base.users[{s}].tags[{i}]",
        "stock.names[{i}]",
    ],
    BOOLEAN: ["input.flag", "data.a.base.flags[{s}]", "data.a.base.users[{s}].admin"],
    ARRAY(NUMBER): ["data.a.base.nums", "data.a.base.grid[{i}]", "input.grid[{i}]", "stock.nums"],
    ARRAY(STRING): ["input.tags", "data.a.base.names", "input.roles[{s}]", "stock.users[{s}].tags"],
    ARRAY(ARRAY(NUMBER)): ["data.a.base.grid", "input.grid"],
    OBJECT(NUMBER): ["data.a.base.scores", "input.scores", "stock.scores"],
    OBJECT(BOOLEAN): ["data.a.base.flags"],
    OBJECT(ARRAY(STRING)): ["input.roles"],
}

# Calls by what they give: {number}, {string}… are terms, {same} is of the type wanted, {item} of
# its items' type, {any} of any type, {numbers} and {strings} are arrays.
CALLS: dict[str, list[str]] = {
    "number": [
        "({number} + {number})",
        "({number} - {number})",
        "({number} * {number})",
        "({number} / {number})",
        "({number} % {number})",
        "count({collection})",
        "count({string})",
        "sum({numbers})",
        "product({numbers})",
        "max({numbers})",
        "min({numbers})",
        "abs({number})",
        "round({number})",
        "ceil({number})",
        "to_number({string})",
        "indexof({string}, {string})",
    ],
    "string": [
        'concat("-", {strings})',
        "upper({string})",
        "lower({string})",
        'sprintf("%v/%v", [{any}, {any}])',
        "substring({string}, {number}, 1)",
        "trim({string}, {string})",
        'replace({string}, "a", {string})',
        "json.marshal({any})",
        "type_name({any})",
        "format_int({number}, 10)",
        '$"<{{{string}}} {{{any}}}>"',
        "base64.encode({string})",
        "strings.reverse({string})",
        "object.get({scores}, {string}, {string})",
        "trim_prefix({string}, {string})",
        "yaml.marshal({number})",
    ],
    "boolean": [
        "({number} < {number})",
        "({number} >= {number})",
        "({numbers} == {numbers})",
        "({any} != {any})",
        "({any} < {any})",
        "({string} == {string})",
        "({number} == {number})",
        "({number} in {numbers})",
        "({string} in {strings})",
        "({any} in {collection})",
        "({string}, {number} in {scores})",
        "startswith({string}, {string})",
        "endswith({string}, {string})",
        "contains({string}, {string})",
        "is_number({any})",
        "is_set({any})",
        'regex.match("^[ab]+$", {string})',
        'glob.match("a*", [], {string})',
        "strings.any_prefix_match({strings}, {strings})",
        "object.subset({scores}, {scores})",
        "(false in {strings})",
    ],
    "array": [
        "array.concat({same}, {same})",
        "array.slice({same}, {number}, {number})",
        "array.reverse({same})",
        "array.flatten([{same}, {same}])",
        "sort({same})",
        "sort({item_set})",
    ],
    "set": [
        "({same} | {same})",
        "({same} & {same})",
        "({same} - {same})",
        "union({{{same}, {same}}})",
    ],
    "object": [
        "object.union({same}, {same})",
        "object.remove({same}, {strings})",
        "object.filter({same}, {strings})",
        "object.union_n([{same}, {same}])",
    ],
}


class Writer:
    """Writes terms.

    Attributes:
        package: the one being written.
        known: the rules written so far.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self.package = "a"
        self.known: list[Known] = []

    def pick(self, options: Sequence[T]) -> T:
        """Draw one of several."""
        return self._random.choice(options)

    def chance(self, one_in: int) -> bool:
        """Draw whether something happens that does one time in so many."""
        return self._random.randrange(one_in) == 0

    def type(self, depth: int) -> Type:
        """Draw a type, nested at most so deep."""
        if not depth or self.chance(2):
            return self.pick([NUMBER, NUMBER, STRING, STRING, BOOLEAN])
        return self.pick([ARRAY, SET, OBJECT])(self.type(depth - 1))

    def collection_type(self) -> Type:
        """Draw a type that can be iterated, the ones data and input hold most."""
        common = [ARRAY(NUMBER), ARRAY(STRING), OBJECT(NUMBER), SET(NUMBER), SET(STRING)]
        known = [rule.type for rule in self.known if rule.type.item and rule.arguments is None]
        return self.pick([*common, *known, *known])

    def term(self, type_: Type, scope: Scope, depth: int) -> str:
        """Write a term of a type."""
        options: list[Callable[[Type, Scope, int], str]] = [self._literal]
        if scope.of(type_):
            options += [self._variable] * 4
        if type_ in REFERENCES:
            options += [self._reference] * 3
        if self._rules_of(type_):
            options += [self._rule] * 4
        if depth > 0:
            options += [self._call] * 3
            if type_.item is not None:
                options += [self._comprehension] * 2
            if self._functions_of(type_):
                options += [self._function_call] * 4
        return self.pick(options)(type_, scope, depth)

    def filled(self, type_: Type, scope: Scope, depth: int) -> str:
        """Write a term to iterate; not a literal or comprehension, which OPA knows too well.

        It refuses to iterate where the type of a literal has no members, or none of the kind that
        is wanted.
        """
        while (text := self.term(type_, scope, depth)).startswith(("{}", "[]")):
            pass
        literal = type_.kind == "set" and text.startswith(("set", "{"))
        return f"({text} | {self.constant(type_)})" if literal else text

    def constant(self, type_: Type) -> str:
        """Write a value without variables."""
        return self._literal(type_, Scope(), -1)

    def any(self, scope: Scope, depth: int) -> str:
        """Write a term of a type drawn."""
        return self.term(self.type(2), scope, depth)

    def inner_body(self, scope: Scope) -> str:
        """Write the body of a comprehension on one line."""
        raise NotImplementedError

    def _literal(self, type_: Type, scope: Scope, depth: int) -> str:
        if type_ == NUMBER:
            return json.dumps(self.pick(NUMBERS))
        if type_ == STRING:
            return json.dumps(self.pick(KEYS))
        if type_ == BOOLEAN:
            return self.pick(["true", "false"])
        assert type_.item is not None
        size = self.pick([0, 1, 1, 2, 2, 2])
        write = self._literal if depth < 0 else self.term
        items = [write(type_.item, scope, depth - 1 if depth > 0 else depth) for _ in range(size)]
        if type_.kind == "array":
            return f"[{', '.join(items)}]"
        if type_.kind == "set":
            # OPA's interpreter iterates the members of a literal as written, so that members that
            # turn out to be equal count twice: not more than one that has to be evaluated.
            if depth >= 0 and size > 1:
                return f"({' | '.join(f'{{{item}}}' for item in items)})"
            return f"{{{', '.join(items)}}}" if items else "set()"
        keys = [json.dumps(key) for key in KEYS[:size]]
        return f"{{{', '.join(f'{k}: {v}' for k, v in zip(keys, items, strict=True))}}}"

    def _variable(self, type_: Type, scope: Scope, depth: int) -> str:
        return self.pick(scope.of(type_))

    def _reference(self, type_: Type, scope: Scope, depth: int) -> str:
        text = self.pick(REFERENCES[type_])
        while "{" in text:
            text = (
                text.replace("{i}", self.index(scope), 1)
                if "{i}" in text
                else text.replace("{s}", self.key(scope), 1)
            )
        return text

    def index(self, scope: Scope) -> str:
        """Write what an array is indexed with."""
        return self.pick([*scope.of(NUMBER), "0", "1", "_"] if scope.bound else ["0", "1", "2"])

    def key(self, scope: Scope) -> str:
        """Write what an object is indexed with."""
        names = scope.of(STRING)
        return self.pick(
            [*names, *names, '"a"', '"b"', "input.user", "_"] if scope.bound else ['"a"', '"b"']
        )

    def _rules_of(self, type_: Type) -> list[Known]:
        return [
            rule
            for rule in self.known
            if rule.arguments is None and type_ in (rule.type, rule.type.item)
        ]

    def _rule(self, type_: Type, scope: Scope, depth: int) -> str:
        rule = self.pick(self._rules_of(type_))
        name = self.name(rule)
        if rule.type == type_:
            return name
        if rule.type.kind == "array":
            return f"{name}[{self.index(scope)}]"
        if rule.type.kind == "set":
            return f"{name}[{self.term(type_, scope, 0)}]"
        return f"{name}[{self.key(scope)}]"

    def name(self, rule: Known) -> str:
        """Write a rule's name as seen from the package being written."""
        if rule.package == self.package:
            return self.pick([rule.name, rule.name, rule.path])
        names = [f"{rule.package}.{rule.name}", rule.path, f'data["{rule.package}"].{rule.name}']
        return self.pick([*names, f"first.{rule.name}"] if rule.package == "a" else names)

    def _functions_of(self, type_: Type) -> list[Known]:
        return [rule for rule in self.known if rule.arguments is not None and rule.type == type_]

    def _function_call(self, type_: Type, scope: Scope, depth: int) -> str:
        rule = self.pick(self._functions_of(type_))
        arguments = [self.term(argument, scope, depth - 1) for argument in rule.arguments or ()]
        name = rule.name if rule.package == self.package else f"{rule.package}.{rule.name}"
        return f"{name}({', '.join(arguments)})"

    def _call(self, type_: Type, scope: Scope, depth: int) -> str:
        text = self.pick(CALLS[type_.kind])
        filled = text.format_map(_Holes(self, type_, scope, depth - 1))
        # A template string may not have variables of its own.
        return filled.replace("[_]", "[0]") if filled.startswith("$") else filled

    def _comprehension(self, type_: Type, scope: Scope, depth: int) -> str:
        assert type_.item is not None
        inner = scope.copy()
        body = self.inner_body(inner)
        value = self.term(type_.item, inner, depth - 1)
        if type_.kind == "array":
            return f"[{value} | {body}]"
        if type_.kind == "set":
            return f"{{{value} | {body}}}"
        return f"{{{self.term(STRING, inner, 0)}: {value} | {body}}}"


class _Holes(dict[str, Any]):
    """The holes of a call's text, each filled anew."""

    def __init__(self, writer: Writer, wanted: Type, scope: Scope, depth: int) -> None:
        self._types: dict[str, Callable[[], Type]] = {
            "number": lambda: NUMBER,
            "string": lambda: STRING,
            "numbers": lambda: ARRAY(NUMBER),
            "strings": lambda: ARRAY(STRING),
            "scores": lambda: OBJECT(NUMBER),
            "same": lambda: wanted,
            "item_set": lambda: SET(wanted.item or NUMBER),
            "collection": writer.collection_type,
            "any": lambda: writer.type(2),
        }
        self._write = lambda type_: writer.term(type_, scope, depth)

    def __getitem__(self, name: str) -> str:
        return self._write(self._types[name]())
