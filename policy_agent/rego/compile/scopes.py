"""The variables of nested scopes while local ones are renamed.

Pure. Follows OPA v1.22 v1/ast/compile.go (localDeclaredVars).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from policy_agent.rego.compile.names import Names


class Occurrence(Enum):
    """How a variable came into a scope; the value is OPA's words for meeting it again."""

    ARGUMENT = "arg {} redeclared"
    SEEN = "var {} referenced above"
    ASSIGNED = "var {} assigned above"
    DECLARED = "var {} declared above"


class Scopes:
    """A stack of scopes: name as written -> name as renamed.

    Attributes:
        rewritten: new name -> written name, of every scope there was.
    """

    def __init__(self, names: Names) -> None:
        self.rewritten: dict[str, str] = {}
        self._names = names
        self._scopes: list[dict[str, tuple[str, Occurrence]]] = [{}]

    def copy(self) -> Scopes:
        """Return an independent copy."""
        other = Scopes(self._names)
        other.rewritten = dict(self.rewritten)
        other._scopes = [dict(scope) for scope in self._scopes]
        return other

    @contextmanager
    def nested(self) -> Iterator[None]:
        """Open a scope for the length of the block."""
        self._scopes.append({})
        yield
        self._scopes.pop()

    def insert(self, name: str, renamed: str, occurrence: Occurrence) -> None:
        """Add a variable to the innermost scope."""
        self._scopes[-1][name] = (renamed, occurrence)
        if name != renamed:
            self.rewritten[renamed] = name

    def declare(self, name: str, occurrence: Occurrence) -> tuple[str, str]:
        """Give a variable a new name in the innermost scope.

        Returns:
            The new name and "", or "" and why the variable cannot be declared there.
        """
        known = self._scopes[-1].get(name)
        if known is not None:
            return "", known[1].value.format(name)
        renamed = self._names.fresh()
        self.insert(name, renamed, occurrence)
        return renamed, ""

    def lookup(self, name: str) -> str | None:
        """Return a variable's name in the innermost scope that has it."""
        found = self._find(name)
        return None if found is None else found[0]

    def see(self, name: str) -> str:
        """Return a variable's present name, noting that it was met here."""
        found = self._find(name)
        if found is not None:
            return found[0]
        self.insert(name, name, Occurrence.SEEN)
        return name

    def shadow(self, name: str) -> str | None:
        """Return the name of a local variable that hides `input` or `data`."""
        found = self._find(name)
        return None if found is None or found[1] is Occurrence.SEEN else found[0]

    def innermost(self) -> dict[str, str]:
        """Return the innermost scope: written name -> new name."""
        return {name: renamed for name, (renamed, _) in self._scopes[-1].items()}

    def declared(self) -> dict[str, str]:
        """Return what `some` and `every` declared in the innermost scope: new name -> name."""
        return {
            renamed: name
            for name, (renamed, occurrence) in self._scopes[-1].items()
            if occurrence is Occurrence.DECLARED
        }

    def _find(self, name: str) -> tuple[str, Occurrence] | None:
        for scope in reversed(self._scopes):
            if name in scope:
                return scope[name]
        return None
