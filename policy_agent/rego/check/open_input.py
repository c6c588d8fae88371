"""Expressions that no type can make wrong, as long as nothing is known of the input.

Pure. Most conditions of most policies are of this kind; they are let through before they are
looked at from all sides.
"""

from __future__ import annotations

from policy_agent.rego import ast
from policy_agent.rego.compile.nodes import INPUT, is_equality

_OPERANDS = 2


def is_open(expr: ast.Expr) -> bool:
    """Return whether an expression only asks for parts of the input, or compares them."""
    statement = expr.statement
    if expr.withs:
        return False
    if type(statement) is ast.Ref:
        return _is_part(statement)
    if type(statement) is not ast.Call or len(statement.args) != _OPERANDS:
        return False
    left, right = statement.args
    if _is_part(left):
        return is_equality(expr) and (type(right) is ast.Scalar or _is_part(right))
    return type(left) is ast.Scalar and _is_part(right) and is_equality(expr)


def _is_part(term: ast.Term) -> bool:
    """Return whether a term is a reference into the input, by names."""
    return (
        type(term) is ast.Ref
        and type(term.head) is ast.Var
        and term.head.name == INPUT
        and all(type(part) is ast.Scalar and type(part.value) is str for part in term.path)
    )
