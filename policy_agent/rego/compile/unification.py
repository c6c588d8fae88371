"""Which variables an equality gives a value, when some variables have one.

Pure. Follows OPA v1.22 v1/ast/unify.go.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from policy_agent.rego import ast
from policy_agent.rego.compile.nodes import COMPREHENSIONS
from policy_agent.rego.compile.variables import FOR_SAFETY, TARGETS, variables


def is_reference_safe(reference: ast.Ref, safe: AbstractSet[str]) -> bool:
    """Return whether what a reference looks into has a value."""
    if isinstance(reference.head, ast.Var):
        return reference.head.name in safe
    return variables(reference.head, FOR_SAFETY).keys() <= safe


def unify(safe: AbstractSet[str], left: ast.Term, right: ast.Term) -> set[str]:
    """Return the variables that have a value once `left = right` holds."""
    unifier = _Unifier(safe)
    unifier.unify(left, right)
    return unifier.unified


class _Unifier:
    def __init__(self, safe: AbstractSet[str]) -> None:
        self._safe = safe
        self.unified: set[str] = set()
        self._unknown: dict[str, set[str]] = {}

    def unify(self, left: ast.Term, right: ast.Term) -> None:
        match left, right:
            case ast.Var(), ast.Var():
                self._variables(left.name, right.name)
            case ast.Var(), _:
                self._variable(left.name, right)
            case _, ast.Var():
                self._variable(right.name, left)
            case ast.ArrayTerm(), ast.ArrayTerm():
                if len(left.items) == len(right.items):
                    for one, two in zip(left.items, right.items, strict=True):
                        self.unify(one, two)
            case ast.ObjectTerm(), ast.ObjectTerm():
                self._objects(left, right)
            case ast.ArrayTerm() | ast.ObjectTerm(), _:
                self._pattern(left, right)
            case _, ast.ArrayTerm() | ast.ObjectTerm():
                self._pattern(right, left)

    def _variable(self, name: str, term: ast.Term) -> None:
        if isinstance(term, ast.ArrayTerm | ast.ObjectTerm):
            self._all(name, term)
        elif self._has_value(term):
            self._mark(name)

    def _has_value(self, term: ast.Term) -> bool:
        if isinstance(term, ast.Ref):
            return is_reference_safe(term, self._safe)
        if isinstance(term, ast.Call):
            return variables(term, FOR_SAFETY).keys() <= self._safe
        return True

    def _pattern(self, pattern: ast.Term, term: ast.Term) -> None:
        if isinstance(term, ast.Ref | ast.Call):
            matched = self._has_value(term)
        else:
            matched = isinstance(term, COMPREHENSIONS)
        if matched:
            self._mark_all(pattern)

    def _objects(self, left: ast.ObjectTerm, right: ast.ObjectTerm) -> None:
        if len(left.pairs) != len(right.pairs):
            return
        for key, value in left.pairs:
            for other, partner in right.pairs:
                if key == other:
                    self.unify(value, partner)

    def _variables(self, left: str, right: str) -> None:
        known = self._safe | self.unified
        if right in known:
            self._mark(left)
        elif left in known:
            self._mark(right)
        else:
            self._unknown.setdefault(left, set()).add(right)
            self._unknown.setdefault(right, set()).add(left)

    def _all(self, name: str, pattern: ast.Term) -> None:
        known = self._safe | self.unified
        if name in known:
            self._mark_all(pattern)
            return
        unsafe = variables(pattern, TARGETS).keys() - known
        if not unsafe:
            self._mark(name)
        else:
            self._unknown.setdefault(name, set()).update(unsafe)

    def _mark_all(self, pattern: ast.Term) -> None:
        for name in variables(pattern, TARGETS):
            self._mark(name)

    def _mark(self, name: str) -> None:
        pending = [name]
        while pending:
            current = pending.pop()
            self.unified.add(current)
            pending.extend(self._unknown.pop(current, ()))
            for other, wanted in list(self._unknown.items()):
                if current in wanted:
                    wanted.discard(current)
                    if not wanted:
                        del self._unknown[other]
                        pending.append(other)
