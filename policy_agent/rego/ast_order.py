"""The order of terms, in which sets and objects of the syntax tree are shown.

Pure. Follows OPA v1.22 v1/ast/compare.go: null, booleans, numbers, strings, template strings,
variables, references, arrays, objects, sets, comprehensions, calls.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cmp_to_key
from typing import Any, Final

from policy_agent.rego import ast
from policy_agent.rego.values import rank

_RANK: Final = {
    ast.TemplateString: 4,
    ast.Var: 5,
    ast.Ref: 6,
    ast.ArrayTerm: 7,
    ast.ObjectTerm: 8,
    ast.SetTerm: 9,
    ast.ArrayComprehension: 10,
    ast.ObjectComprehension: 11,
    ast.SetComprehension: 12,
    ast.Call: 13,
}


def compare_terms(left: ast.Term, right: ast.Term) -> int:
    """Return -1, 0 or 1 as `left` comes before, is the same as or comes after `right`."""
    return _compare(_key(left), _key(right))


_by_order = cmp_to_key(compare_terms)


def distinct_terms(terms: Iterable[ast.Term]) -> list[ast.Term]:
    """Return the members of a set in order, the first of equal ones each."""
    distinct: list[ast.Term] = []
    for term in sorted(terms, key=_by_order):
        if not distinct or compare_terms(distinct[-1], term):
            distinct.append(term)
    return distinct


def ordered_pairs(
    pairs: Iterable[tuple[ast.Term, ast.Term]],
) -> list[tuple[ast.Term, ast.Term]]:
    """Return the pairs of an object in order of their keys; equal keys stay, as in OPA's parser."""
    return sorted(pairs, key=lambda pair: _by_order(pair[0]))


def _key(term: ast.Term) -> tuple[Any, ...]:
    """Return a term as nested tuples that compare as the term does."""
    match term:
        case ast.Scalar():
            return rank(term.value), term.value
        case ast.Var():
            return _RANK[ast.Var], term.name
        case ast.Ref():
            return _RANK[ast.Ref], *map(_key, (term.head, *term.path))
        case ast.ArrayTerm():
            return _RANK[ast.ArrayTerm], *map(_key, term.items)
        case ast.SetTerm():
            return _RANK[ast.SetTerm], *map(_key, distinct_terms(term.items))
        case ast.ObjectTerm():
            pairs = ordered_pairs(term.pairs)
            return _RANK[ast.ObjectTerm], *(_key(part) for pair in pairs for part in pair)
        case ast.Call():
            return _RANK[ast.Call], *map(_key, (term.operator, *term.args))
        case _:
            return _RANK[type(term)], repr(term)


def _compare(left: Any, right: Any) -> int:
    if not isinstance(left, tuple):
        return 0 if left is None else (left > right) - (left < right)
    for one, two in zip(left, right, strict=False):
        if result := _compare(one, two):
            return result
    return (len(left) > len(right)) - (len(left) < len(right))
