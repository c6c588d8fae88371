"""Random well-typed policies with data and inputs, as Hypothesis strategies.

Two packages: `data.a`, which also holds the base documents `data.a.base`, and `data.b`, which
imports it. A rule refers to earlier rules only, so there is no recursion. Values come from a small
stock, so that lookups hit, sets collide and rules conflict now and then.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from hypothesis import strategies as st

from tests.conformance.statements import Statements
from tests.conformance.terms import (
    ARRAY,
    BOOLEAN,
    KEYS,
    NUMBER,
    NUMBERS,
    OBJECT,
    SET,
    STRING,
    Known,
    Scope,
    Type,
)

HEADERS = {
    "a.rego": "package a\n\nimport data.a.base as stock\n",
    "b.rego": "\n".join(
        (
            "package b\n",
            *("import data.a", "import data.a as first", "import data.a.base as stock"),
            *("import input.items as items", "import future.keywords.and"),
            *("import future.keywords.or", "import future.keywords.not\n"),
        )
    ),
}


_VARIABLE = re.compile(r"\bx\d+\b")
_DECLARED = re.compile(r"\bsome (?:x\d+, )?x\d+ in ")
_ODD = [None, True, 7, "odd", [], {}, [1, "a"], {"a": {"b": 1}}]


@dataclass(frozen=True, slots=True)
class Generated:
    """One policy and what to ask it about.

    Attributes:
        rules: file name -> the texts of its rules, of which any may be left out to reduce.
    """

    rules: dict[str, tuple[str, ...]]
    data: dict[str, Any]
    inputs: tuple[Any, ...]

    @property
    def modules(self) -> dict[str, str]:
        """Return file name -> text."""
        return {
            name: HEADERS[name] + "\n" + "\n\n".join(rules) + "\n"
            for name, rules in self.rules.items()
        }

    def smaller(self) -> Iterator[Generated]:
        """Yield it without one rule, and without one line of a body."""
        for name, rules in self.rules.items():
            for index, rule in reversed(list(enumerate(rules))):
                before, after = rules[:index], rules[index + 1 :]
                yield replace(self, rules={**self.rules, name: before + after})
                for line in (line for line in rule.splitlines() if line.startswith("\t")):
                    shorter = rule.replace(line + "\n", "", 1)
                    yield replace(self, rules={**self.rules, name: (*before, shorter, *after)})


def policies() -> st.SearchStrategy[Generated]:
    """Draw policies.

    Hypothesis draws the seed and not every choice: its many small and repeated examples compare
    little, and what differs is reduced by leaving out rules.
    """
    return st.randoms(use_true_random=True).map(generate)


def generate(random: Random) -> Generated:
    """Write a policy of two packages, its base documents and two inputs."""
    writer = _Rules(random)
    rules = {}
    for package in "ab":
        writer.package = package
        rules[f"{package}.rego"] = tuple(
            text for _ in range(random.randint(2, 5)) for text in writer.rule()
        )
    documents = _Documents(random)
    return Generated(
        rules, {"a": {"base": documents.base()}}, (documents.input(), documents.input())
    )


class _Documents:
    """Makes base documents and inputs; inputs lack members and have odd ones now and then."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def base(self) -> dict[str, Any]:
        return {
            "nums": self._list(self._number),
            "names": self._list(self._key),
            "scores": self._map(self._number),
            "users": self._map(self._user),
            "grid": self._list(lambda: self._list(self._number)),
            "flags": self._map(self._flag),
        }

    def input(self) -> Any:
        whole: dict[str, Any] = {
            "n": self._number(),
            "user": self._key(),
            "flag": self._flag(),
            "tags": self._list(self._key),
            "roles": self._map(lambda: self._list(self._key)),
            "scores": self._map(self._number),
            "items": self._list(lambda: {"id": self._number(), "kind": self._key()}),
            "grid": self._list(lambda: self._list(self._number)),
        }
        kept = {name: value for name, value in whole.items() if self._random.random() < 0.9}
        if self._random.random() < 0.2:
            kept[self._random.choice(list(whole))] = self._random.choice(_ODD)
        return kept

    def _number(self) -> int | float:
        return self._random.choice(NUMBERS)

    def _key(self) -> str:
        return self._random.choice(KEYS)

    def _flag(self) -> bool:
        return self._random.random() < 0.7

    def _user(self) -> dict[str, Any]:
        return {"age": self._number(), "tags": self._list(self._key), "admin": self._flag()}

    def _list(self, item: Callable[[], Any]) -> list[Any]:
        return [item() for _ in range(self._random.choice([0, 1, 2, 2, 3, 3]))]

    def _map(self, item: Callable[[], Any]) -> dict[str, Any]:
        names = self._random.sample(KEYS, self._random.choice([1, 2, 3]))
        return {name: item() for name in names}


class _Rules(Statements):
    """Writes whole rules."""

    def rule(self) -> list[str]:
        """Write one rule, all of its definitions, and make it known to later ones."""
        name = f"r{len(self.known)}"
        kind = self.pick(
            ["complete", "complete", "boolean", "set", "object", "nested", "dotted"]
            + ["function"] * 2
        )
        write = getattr(self, f"_{kind}")
        known: Known = write(name, self.type(1))
        self.known.append(known)
        return [_without_unused(text) for text in known.text]

    def _known(self, name: str, type_: Type, text: list[str], **more: Any) -> Known:
        return Known(self.package, name, type_, tuple(text), **more)

    def _complete(self, name: str, type_: Type) -> Known:
        text = []
        if self.chance(3):
            text.append(f"default {name} := {self.constant(type_)}")
        for _ in range(self.pick([1, 1, 1, 2])):
            valued = self._valued(type_, Scope(), elses=self.pick([0, 0, 1, 2]))
            text += [f"{name} := {valued}"]
        return self._known(name, type_, text)

    def _valued(self, type_: Type, scope: Scope, *, elses: int) -> str:
        """Write `value if { … } else := …`."""
        inner = scope.copy()
        body = self.body(inner)
        text = f"{self.term(type_, inner, 2)} if {{\n\t{body}\n}}"
        for _ in range(elses):
            inner = scope.copy()
            body = self.body(inner)
            text += f" else := {self.term(type_, inner, 1)} if {{\n\t{body}\n}}"
        return text

    def _boolean(self, name: str, _: Type) -> Known:
        text = [f"default {name} := false"] if self.chance(3) else []
        for _unused in range(self.pick([1, 2, 3])):
            text += [f"{name} if {{\n\t{self.body(Scope())}\n}}"]
        return self._known(name, BOOLEAN, text)

    def _set(self, name: str, type_: Type) -> Known:
        text = []
        for _ in range(self.pick([1, 2])):
            scope = Scope()
            body = self.body(scope)
            text.append(f"{name} contains {self.term(type_, scope, 1)} if {{\n\t{body}\n}}")
        return self._known(name, SET(type_), text)

    def _object(self, name: str, type_: Type) -> Known:
        text = []
        for _ in range(self.pick([1, 2])):
            scope = Scope()
            body = self.body(scope)
            key = self.term(STRING, scope, 1)
            text.append(f"{name}[{key}] := {self.term(type_, scope, 1)} if {{\n\t{body}\n}}")
        if self.chance(4):
            text.append(f'{name}["c"] := {self.constant(type_)}')
        return self._known(name, OBJECT(type_), text)

    def _nested(self, name: str, type_: Type) -> Known:
        """Write a rule whose head is a longer reference."""
        form = self.pick(["{n}.a[{k}] := {v}", "{n}[{k}].b[{l}] := {v}", "{n}[{k}] contains {v}"])
        inner = SET(type_) if "contains" in form else OBJECT(type_)
        if ".b" in form:
            inner = OBJECT(inner)
        text = []
        for _ in range(self.pick([1, 2])):
            scope = Scope()
            body = self.body(scope)
            head = form.format(
                n=name,
                k=self.term(STRING, scope, 0),
                l=self.term(STRING, scope, 0),
                v=self.term(type_, scope, 1),
            )
            text.append(f"{head} if {{\n\t{body}\n}}")
        return self._known(name, OBJECT(inner), text)

    def _dotted(self, name: str, type_: Type) -> Known:
        """Write rules whose heads are longer references of constants."""
        text = []
        for key in ("x", "y"):
            body = self.body(scope := Scope())
            text.append(f"{name}.{key} := {self.term(type_, scope, 1)} if {{\n\t{body}\n}}")
        if self.chance(3):
            text.append(f'{name}["x"] := {self.constant(type_)}')
        return self._known(name, OBJECT(type_), text)

    def _function(self, name: str, type_: Type) -> Known:
        arguments = [
            self.pick([NUMBER, STRING, ARRAY(NUMBER)]) for _ in range(self.pick([1, 1, 2]))
        ]
        text = []
        if self.chance(4):
            wildcards = ", ".join("_" for _ in arguments)
            text.append(f"default {name}({wildcards}) := {self.constant(type_)}")
        for _ in range(self.pick([1, 2, 3])):
            scope = Scope()
            written = ", ".join(self._argument(argument, scope) for argument in arguments)
            valued = self._valued(type_, scope, elses=self.pick([0, 0, 0, 1]))
            text.append(f"{name}({written}) := {valued}")
        return self._known(name, type_, text, arguments=tuple(arguments))

    def _argument(self, type_: Type, scope: Scope) -> str:
        if self.chance(4):
            return self.constant(type_)
        if type_.item is not None and self.chance(3):
            return f"[{scope.new(NUMBER)}, {scope.new(NUMBER)}]"
        return scope.new(type_)


def _without_unused(definition: str) -> str:
    """Replace the variables that are declared but not used: OPA refuses those."""
    seen = Counter(_VARIABLE.findall(definition))
    return _DECLARED.sub(
        lambda found: _VARIABLE.sub(lambda name: "_" if seen[name[0]] == 1 else name[0], found[0]),
        definition,
    )
