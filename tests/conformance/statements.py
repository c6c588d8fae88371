"""Write random rule bodies: the part of the generator between terms and rules."""

from __future__ import annotations

import json

from tests.conformance.terms import (
    ARRAY,
    BOOLEAN,
    NUMBER,
    OBJECT,
    STRING,
    Scope,
    Type,
    Writer,
)

_COMPARED = ["==", "==", "!=", "<", "<=", ">", ">="]
# Built-ins a `with` replaces: what they give and take.
_MOCKED: dict[str, tuple[Type, tuple[Type, ...]]] = {
    "count": (NUMBER, (ARRAY(NUMBER),)),
    "upper": (STRING, (STRING,)),
    "abs": (NUMBER, (NUMBER,)),
    "startswith": (BOOLEAN, (STRING, STRING)),
    "concat": (STRING, (STRING, ARRAY(STRING))),
}


class Statements(Writer):
    """Writes statements; what they bind is added to the scope."""

    def body(self, scope: Scope) -> str:
        """Write the lines of a rule's body."""
        lines: list[str] = []
        for _ in range(self.pick([1, 1, 2, 2, 3])):
            lines += self._statement(scope, 2)
        return "\n\t".join(lines)

    def inner_body(self, scope: Scope) -> str:
        """Write the body of a comprehension, which iterates, on one line."""
        lines = self._some(scope, 0)
        if self.chance(2):
            lines += self._statement(scope, 0)
        return "; ".join(lines)

    def _statement(self, scope: Scope, depth: int) -> list[str]:
        options = [
            self._assigned,
            self._some,
            self._some,
            self._some_in,
            self._compared,
            self._compared,
            self._holds,
            self._unified,
            self._negated,
            self._with,
            self._walked,
        ]
        if depth:
            options += [self._every, self._every, self._dynamic, self._pattern]
            if self.package == "b":
                options += [self._logical, self._negated_body]
        return self.pick(options)(scope, depth)

    def _assigned(self, scope: Scope, depth: int) -> list[str]:
        if self.chance(4):
            first, second = self.type(1), self.type(0)
            terms = f"[{self.term(first, scope, depth)}, {self.term(second, scope, depth)}]"
            return [f"[{scope.new(first)}, {scope.new(second)}] := {terms}"]
        type_ = self.type(2)
        term = self.term(type_, scope, depth)
        return [f"{scope.new(type_)} := {term}"]

    def _some(self, scope: Scope, depth: int) -> list[str]:
        type_ = self.collection_type()
        assert type_.item is not None
        collection = self.filled(type_, scope, depth)
        if self.chance(2):
            return [f"some {scope.new(type_.item)} in {collection}"]
        key = _key_of(type_)
        return [f"some {scope.new(key)}, {scope.new(type_.item)} in {collection}"]

    def _some_in(self, scope: Scope, depth: int) -> list[str]:
        """Iterate by reference, with variables declared or not."""
        form, key, item = self.pick(
            [
                ("data.a.base.users[{k}].tags[_] == {v}", STRING, STRING),
                ("{v} = data.a.base.nums[{k}]", NUMBER, NUMBER),
                ("{v} := data.a.base.scores[{k}]", STRING, NUMBER),
                ("input.items[{k}].kind == {v}", NUMBER, STRING),
                ("{v} := input.scores[{k}]", STRING, NUMBER),
                ("input.roles[{k}][_] = {v}", STRING, STRING),
            ]
        )
        outer = scope.copy()
        k = scope.new(key)
        v = self.term(item, outer, 0) if "==" in form else scope.new(item)
        line = form.format(k=k, v=v)
        return [f"some {k}", line] if self.chance(2) else [line]

    def _compared(self, scope: Scope, depth: int) -> list[str]:
        type_ = self.type(1)
        left, right = self.term(type_, scope, depth), self.term(type_, scope, max(depth - 1, 0))
        compared = f"{left} {self.pick(_COMPARED)} {right}"
        # Braces at the beginning of an operand of `not`, `and` and `or` would be a body's.
        return [f"({compared})" if compared.startswith("{") else compared]

    def _holds(self, scope: Scope, depth: int) -> list[str]:
        return [self._call(BOOLEAN, scope, max(depth, 1))]

    def _unified(self, scope: Scope, depth: int) -> list[str]:
        form = self.pick(["array", "object", "plain"])
        type_ = self.type(1 if form == "plain" else 0)
        if form == "plain":
            term = self.term(type_, scope, depth)
            return [f"{term} = {scope.new(type_)}"]
        known, term = self.term(type_, scope, 0), self.term(type_, scope, depth)
        given = self.term(NUMBER, scope, depth)
        if form == "array":
            return [f"[{known}, {scope.new(NUMBER)}] = [{term}, {given}]"]
        return [f'{{"a": {known}, "b": {scope.new(NUMBER)}}} = {{"a": {term}, "b": {given}}}']

    def _negated(self, scope: Scope, depth: int) -> list[str]:
        inner = scope.copy()
        negated = self.pick([self._compared, self._holds])(inner, depth)[0]
        return [f"not {negated}".replace("[_]", "[0]")]

    def _every(self, scope: Scope, depth: int) -> list[str]:
        type_ = self.collection_type()
        assert type_.item is not None
        collection = self.filled(type_, scope, 1)
        inner = scope.copy()
        key = _key_of(type_)
        names = [(inner.new(key), key)] if self.chance(2) else []
        names.append((inner.new(type_.item), type_.item))
        # A variable that is declared must be used.
        used = [self._declared_use(name, kind, inner) for name, kind in names]
        lines = [line for _ in range(self.pick([1, 2])) for line in self._statement(inner, 0)]
        declared = ", ".join(name for name, _ in names)
        return [f"every {declared} in {collection} {{ {'; '.join([*used, *lines])} }}"]

    def _pattern(self, scope: Scope, depth: int) -> list[str]:
        """Iterate over members of a shape."""
        form, types = self.pick(
            [
                ('some {{"id": {0}, "kind": {1}}} in input.items', (NUMBER, STRING)),
                ("some [{0}, {1}] in data.a.base.grid", (NUMBER, NUMBER)),
                ('some {0}, {{"age": {1}, "tags": _, "admin": true}} in stock.users',
                 (STRING, NUMBER)),
                ("some [{0}, 1] in input.grid", (NUMBER,)),
            ]
        )  # fmt: skip
        return [form.format(*(scope.new(type_) for type_ in types))]

    def _logical(self, scope: Scope, depth: int) -> list[str]:
        """Write operands with and without braces; what one binds is not bound outside of it."""
        word = self.pick(["and", "or"])
        operands = []
        for _ in range(2):
            inner = scope.copy()
            if self.chance(2):
                lines = [*self._statement(inner, 0), *self._compared(inner, 0)]
                operands.append(f"{{ {'; '.join(lines)} }}")
            else:
                operands.append(self._compared(inner, 0)[0].replace("[_]", "[0]"))
        return [f" {word} ".join(operands)]

    def _negated_body(self, scope: Scope, depth: int) -> list[str]:
        inner = scope.copy()
        lines = [*self._statement(inner, 0), *self._compared(inner, 0)]
        return [f"not {{ {'; '.join(lines)} }}"]

    def _declared_use(self, name: str, type_: Type, scope: Scope) -> str:
        return f"{name} {self.pick(['!=', '!=', '>='])} {self.term(type_, scope, 0)}"

    def _walked(self, scope: Scope, depth: int) -> list[str]:
        if not self.chance(3):
            return self._compared(scope, depth)
        term = self.any(scope, 0)
        path = scope.new(ARRAY(STRING))
        value = scope.new(NUMBER)
        return [f"walk({term}, [{path}, {value}])"]

    def _dynamic(self, scope: Scope, depth: int) -> list[str]:
        """Refer to rules of the other package by names found at run time."""
        rules = [rule for rule in self.known if rule.package != self.package]
        # What OPA says of references to any member of a package with functions is a quirk of its
        # type checker: "match error", or nothing, by what else the package holds.
        if not rules or any(rule.arguments is not None for rule in rules):
            return self._some_in(scope, depth)
        name = scope.new(STRING)
        value = scope.new(rules[0].type)
        listed = ", ".join(json.dumps(rule.name) for rule in rules)
        return [
            *([f"some {name} in [{listed}]"] if self.chance(2) else []),
            f"{value} = data.a[{name}]",
        ]

    def _with(self, scope: Scope, depth: int) -> list[str]:
        outer = scope.copy()
        line = self.pick([self._assigned, self._compared, self._holds, self._negated])(scope, depth)
        for _ in range(self.pick([1, 1, 2])):
            line[0] += f" with {self._replaced(outer)}"
        return line

    def _replaced(self, scope: Scope) -> str:
        # The value may not have variables of its own.
        return self._replacing(scope).replace("[_]", "[0]")

    def _replacing(self, scope: Scope) -> str:
        options = ["input", "input", "part", "data", "data", "builtin"]
        if self.known:
            options += ["rule"] * 4
        kind = self.pick(options)
        if kind == "input":
            number, tags = self.term(NUMBER, scope, 0), self.term(ARRAY(STRING), scope, 0)
            given = self.pick(
                [
                    f'{{"n": {number}, "user": {self.term(STRING, scope, 0)}}}',
                    f'{{"tags": {tags}, "items": [{{"id": 1, "kind": "a"}}]}}',
                ]
            )
            return f"input as {given}"
        if kind == "part":
            name, type_ = self.pick(
                [
                    ("n", NUMBER),
                    ("user", STRING),
                    ("tags", ARRAY(STRING)),
                    ("scores", OBJECT(NUMBER)),
                ]
            )
            return f"input.{name} as {self.term(type_, scope, 0)}"
        if kind == "data":
            name, type_ = self.pick(
                [
                    ("nums", ARRAY(NUMBER)),
                    ("scores", OBJECT(NUMBER)),
                    ("scores.a", NUMBER),
                    ("users.b.age", NUMBER),
                ]
            )
            return f"data.a.base.{name} as {self.term(type_, scope, 0)}"
        if kind == "builtin":
            name = self.pick(sorted(_MOCKED))
            return f"{name} as {self._replacement(*_MOCKED[name], scope)}"
        rule = self.pick(self.known)
        return f"{rule.path} as {self._replacement(rule.type, rule.arguments, scope)}"

    def _replacement(self, type_: Type, arguments: tuple[Type, ...] | None, scope: Scope) -> str:
        fitting = [rule for rule in self.known if arguments and rule.arguments == arguments]
        if fitting and self.chance(2):
            return self.pick(fitting).path
        return self.term(type_, scope, 0)


def _key_of(type_: Type) -> Type:
    """Return the type of a collection's keys."""
    assert type_.item is not None
    return {"set": type_.item, "object": STRING}.get(type_.kind, NUMBER)
