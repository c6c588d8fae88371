"""Give each expression of a query a variable for its value.

Pure. Follows OPA v1.22 v1/rego/rego.go (rewriteQueryToCaptureValue): only so is `1 == 2` a result,
the value false, and not the absence of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from policy_agent.rego import ast
from policy_agent.rego.compile.nodes import (
    COMPREHENSIONS,
    Node,
    call_name,
    children,
    equality,
    operator_name,
)
from policy_agent.rego.compile.outputs import Arity
from policy_agent.rego.compile.signatures import Signature

_PREFIX: Final = "$term"  # The `$` of wildcards: no author can write it, no result shows it.


def capture_values(body: ast.Body, arity: Arity, builtins: Mapping[str, Signature]) -> ast.Body:
    """Return a query whose expressions' values have variables; see `captured`.

    Args:
        body: a query with its references resolved.
        arity: how many arguments a function takes.
        builtins: the functions that may be called.
    """
    # A single false expression is a result; among others, or where it iterates, it must hold.
    must_hold = len(body) > 1 or _iterates(body, builtins)
    rewritten: list[ast.Expr] = []
    conditions: list[ast.Expr] = []
    for number, expr in enumerate(body, 1):
        variable = ast.Var(f"{_PREFIX}{number}", expr.location)
        changed = _with_value(expr, variable, arity, builtins)
        rewritten.append(changed)
        if changed is not expr and must_hold:
            conditions.append(ast.Expr(variable, generated=True, location=expr.location))
    return (*rewritten, *conditions)


def captured(expr: ast.Expr) -> str | None:
    """Return the variable with an expression's value, None for one that holds or has no result."""
    if not isinstance(expr.statement, ast.Call) or not expr.statement.args:
        return None
    last = expr.statement.args[-1]
    return last.name if isinstance(last, ast.Var) and last.name.startswith(_PREFIX) else None


def _with_value(
    expr: ast.Expr, variable: ast.Var, arity: Arity, builtins: Mapping[str, Signature]
) -> ast.Expr:
    statement = expr.statement
    if expr.negated or call_name(expr) in {"eq", "assign"}:
        return expr
    if isinstance(statement, ast.Call):
        signature = builtins.get(operator_name(statement.operator))
        has_result = signature is None or not signature.void
        if has_result and arity(statement.operator) == len(statement.args):
            return replace(expr, statement=replace(statement, args=(*statement.args, variable)))
        return expr
    if isinstance(statement, ast.SomeDecl | ast.Every):
        return expr
    if isinstance(statement, ast.LogicalNot | ast.LogicalAnd | ast.LogicalOr):
        return expr
    return replace(expr, statement=equality(statement, variable, expr.location).statement)


def _iterates(node: Node, builtins: Mapping[str, Signature]) -> bool:
    """Return whether a reference outside comprehensions may have several values."""
    if isinstance(node, COMPREHENSIONS):
        return False
    if isinstance(node, ast.Call) and (
        (signature := builtins.get(operator_name(node.operator))) and signature.relation
    ):
        return True
    if isinstance(node, ast.Ref) and any(isinstance(part, ast.Var) for part in node.path):
        return True
    return any(_iterates(each, builtins) for each in children(node))
