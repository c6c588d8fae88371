"""What is known of the elements of collections and bodies before they are laid out.

Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from policy_agent.rego import ast
from policy_agent.rego.ast_order import compare_terms
from policy_agent.rego.compile.nodes import descend, is_generated, operator_name

T = TypeVar("T")


def is_union(term: ast.Term) -> bool:
    """Return whether a term is `x | y`, which between braces would be a comprehension."""
    return isinstance(term, ast.Call) and operator_name(term.operator) == "or"


def first_term(element: Any) -> ast.Term:
    """Return a term, or the first of a pair."""
    found: ast.Term = element[0] if isinstance(element, tuple) else element
    return found


def by_lines(elements: Sequence[T], row: int) -> list[list[T]]:
    """Return elements in the order of their places, those that begin on one line together."""
    if any(
        isinstance(each, ast.Var) and is_generated(each.name) for each in descend(tuple(elements))
    ):
        # The places of what a compiler made mean nothing.
        return [list(elements)]

    def place(element: T) -> tuple[int, int]:
        location = _location(element)
        return location.row, location.col

    lines: list[list[T]] = [[]]
    for element in sorted(elements, key=place):
        here = _location(element).row
        if here > row and lines != [[]]:
            lines.append([])
        row = here
        lines[-1].append(element)
    return lines


def _location(element: Any) -> Any:
    return (element[0] if isinstance(element, tuple) else element).location


def distinct(items: Sequence[ast.Term]) -> list[ast.Term]:
    """Return the first of equal members each, as OPA's parser keeps them."""
    kept: list[ast.Term] = []
    for item in items:
        if all(compare_terms(item, other) for other in kept):
            kept.append(item)
    return kept
