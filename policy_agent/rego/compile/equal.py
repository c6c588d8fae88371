"""Unify where `==` compares, so that the planner has one kind of equality.

Pure. Follows OPA v1.22 v1/ast/compile.go (rewriteEquals): after the safety check, as `==` gives no
variable a value; not in queries, where the result of `==` is asked for.
"""

from __future__ import annotations

from msgspec.structs import replace

from policy_agent.rego import ast
from policy_agent.rego.compile.nodes import (
    operator,
    operator_name,
    rebuild,
    rebuild_bodies,
    rebuild_expr,
)

_EQUAL_OPERANDS = 2


def unify_equal(rule: ast.Rule) -> ast.Rule:
    """Return a rule whose `==` expressions are `=`."""
    return rebuild_bodies(rule, _in_term, _in_body)


def _in_body(body: ast.Body) -> ast.Body:
    return tuple(_in_expr(expr) for expr in body)


def _in_expr(expr: ast.Expr) -> ast.Expr:
    call = expr.statement
    if (
        isinstance(call, ast.Call)
        and operator_name(call.operator) == "equal"
        and len(call.args) == _EQUAL_OPERANDS
    ):
        renamed = operator("eq", call.operator.location)
        expr = replace(expr, statement=replace(call, operator=renamed))
    return rebuild_expr(expr, _in_term, _in_body)


def _in_term(term: ast.Term) -> ast.Term:
    return rebuild(term, _in_term, _in_body)
