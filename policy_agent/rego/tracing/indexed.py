"""Which conditions of a rule OPA's rule index judges before it tries the rule.

Pure. Follows OPA v1.22 v1/ast/index.go and index_affix.go: comparisons, memberships and affixes of
documents that need no rule, with constants. What they say of a rule is the same wherever in its
body they stand, so that a copy of them at its beginning has the effect of the index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Final

from msgspec.structs import replace

from policy_agent.rego import ast
from policy_agent.rego.compile.nodes import (
    ROOTS,
    call_name,
    contains,
    descend,
    equality,
    rebuild,
)

# Name -> how many operands it has where its result is not wanted.
_JUDGED: Final[Mapping[str, int]] = {
    "eq": 2,
    "equal": 2,
    "glob.match": 3,
    "internal.member_2": 2,
    "startswith": 2,
    "endswith": 2,
    "strings.any_prefix_match": 2,
    "strings.any_suffix_match": 2,
}
_NOT_INDEXED: Final = frozenset({"internal.print", "internal.test_case"})
_ANYTHING: Final = "$indexed"
_OPAQUE: Final = (
    *(ast.ArrayComprehension, ast.SetComprehension, ast.ObjectComprehension),
    *(ast.Call, ast.TemplateString),
)

IsVirtual = Callable[[ast.Ref], bool]


def index_conditions(rule: ast.Rule, is_virtual: IsVirtual) -> tuple[ast.Expr, ...]:
    """Return conditions that hold exactly where OPA's index does not leave the rule out.

    Args:
        rule: as compiled.
        is_virtual: whether a reference needs rules.
    """
    if any(isinstance(each, ast.Expr) and call_name(each) in _NOT_INDEXED
           for each in descend(rule.body)):  # fmt: skip
        return ()
    return tuple(_Conditions(rule, is_virtual).all())


class _Conditions:
    def __init__(self, rule: ast.Rule, is_virtual: IsVirtual) -> None:
        self._rule = rule
        self._is_virtual = is_virtual
        arguments = {each.name: each for each in rule.head.args or () if isinstance(each, ast.Var)}
        self._known: dict[str, ast.Term] = dict(arguments)
        self._arguments = frozenset(arguments)
        self._numbers = count()

    def all(self) -> Iterator[ast.Expr]:
        for expr in self._rule.body:
            if expr.negated or expr.withs:
                continue
            if isinstance(expr.statement, ast.Ref):
                yield from self._defined(self._plugged(expr.statement), expr)
            elif isinstance(expr.statement, ast.Call):
                yield from self._call(expr, expr.statement)

    def _call(self, expr: ast.Expr, call: ast.Call) -> Iterator[ast.Expr]:
        args = tuple(map(self._plugged, call.args))
        name = call_name(expr)
        if name == "eq":
            for variable, value in (args, args[::-1]):
                if isinstance(variable, ast.Var) and variable.name not in self._arguments:
                    if self._is_subject(value) or is_constant(value):
                        self._known.setdefault(variable.name, value)
                    yield from self._defined(value, expr)
                    return
            args = tuple(self._member_of(each) for each in args)
        constants = _is_flat if name in ("eq", "equal") else is_constant
        subjects = [each for each in args if self._is_subject(each) or _is_search(each)]
        if (
            len(args) == _JUDGED.get(name)
            and len(subjects) == 1
            and all(each in subjects or constants(each) for each in args)
        ):
            yield replace(expr, statement=replace(call, args=args), generated=True)

    def _defined(self, term: ast.Term, expr: ast.Expr) -> Iterator[ast.Expr]:
        if isinstance(term, ast.Ref) and self._is_subject(term):
            yield equality(self._anything(), term, expr.location, generated=True)

    def _member_of(self, term: ast.Term) -> ast.Term:
        """Return a reference that looks for a last key as one that looks for it on its own."""
        if isinstance(term, ast.Ref) and term.path and isinstance(term.path[-1], ast.Var):
            collection = ast.Ref(term.head, term.path[:-1], term.location)
            if self._is_subject(collection):
                return ast.Ref(term.head, (*collection.path, self._anything()), term.location)
        return term

    def _anything(self) -> ast.Var:
        return ast.Var(f"{_ANYTHING}{next(self._numbers)}")

    def _plugged(self, term: ast.Term) -> ast.Term:
        """Return a term in which variables are what they are known to be."""
        if isinstance(term, ast.Var):
            return self._known.get(term.name, term)
        if isinstance(term, ast.Ref) and isinstance(term.head, ast.Var):
            path = tuple(map(self._plugged, term.path))
            head = self._known.get(term.head.name, term.head)
            if isinstance(head, ast.Ref):
                return ast.Ref(head.head, (*head.path, *path), term.location)
            return ast.Ref(term.head, path, term.location)
        return rebuild(term, self._plugged, lambda body: body)

    def _is_subject(self, term: ast.Term) -> bool:
        """Return whether a term is an argument or a document that needs no rule."""
        if isinstance(term, ast.Var):
            return term.name in self._arguments
        if not isinstance(term, ast.Ref) or not isinstance(term.head, ast.Var):
            return False
        if not all(isinstance(part, ast.Scalar) for part in term.path):
            return False
        name = term.head.name
        return name in self._arguments or (name in ROOTS and not self._is_virtual(term))


def is_constant(term: ast.Term) -> bool:
    """Return whether a term is the same value always."""
    return not contains(term, ast.Var, *_OPAQUE)


def _is_flat(term: ast.Term) -> bool:
    items = term.items if isinstance(term, ast.ArrayTerm) else (term,)
    return all(isinstance(each, ast.Scalar) for each in items)


def _is_search(term: ast.Term) -> bool:
    last = term.path[-1] if isinstance(term, ast.Ref) and term.path else None
    return isinstance(last, ast.Var) and last.name.startswith(_ANYTHING)
