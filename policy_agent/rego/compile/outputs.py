"""Which variables get a value from an expression or a body.

Pure. Follows OPA v1.22 v1/ast/compile.go (outputVarsForExpr).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from typing import Final

from policy_agent.rego import ast
from policy_agent.rego.compile.nodes import COMPREHENSIONS, Node, children, is_equality, is_ground
from policy_agent.rego.compile.unification import is_reference_safe, unify
from policy_agent.rego.compile.variables import FOR_SAFETY, OPERANDS, skipping, variables

Arity = Callable[[ast.Ref], int | None]
_PATHS: Final = skipping(ref_head=True)
_EQUALITY_OPERANDS: Final = 2


def outputs_of_body(body: Iterable[ast.Expr], arity: Arity, safe: AbstractSet[str]) -> set[str]:
    """Return the variables that a body gives a value, beyond those that have one."""
    known = set(safe)
    for expr in body:
        known |= outputs_of_expr(expr, arity, known)
    return known - safe


def outputs_of_expr(expr: ast.Expr, arity: Arity, safe: AbstractSet[str]) -> set[str]:
    """Return the variables that an expression gives a value when `safe` ones have one."""
    if expr.negated:
        return set()
    if any(variables(each, FOR_SAFETY).keys() - safe for each in expr.withs):
        return set()
    match expr.statement:
        case ast.Call() as call if is_equality(expr):
            if len(call.args) != _EQUALITY_OPERANDS:
                return set(safe)
            return outputs_of_equality(expr, safe)
        case ast.Call() as call:
            count = arity(call.operator)
            return set() if count is None else _outputs_of_call(expr, call, count, safe)
        case ast.Every() as every:
            return _outputs_of_terms(every.domain, safe)
        case ast.LogicalAnd() | ast.LogicalOr() | ast.LogicalNot():
            return set()
    return _outputs_of_terms(expr, safe)


def outputs_of_equality(expr: ast.Expr, safe: AbstractSet[str]) -> set[str]:
    """Return the variables that an equality gives a value when `safe` ones have one."""
    assert isinstance(expr.statement, ast.Call)
    left, right = expr.statement.args
    known = _outputs_of_terms(expr, safe) | safe
    if expr.assignment:
        known -= variables(left).keys()
    return (known | unify(known, left, right)) - safe


def _outputs_of_call(
    expr: ast.Expr, call: ast.Call, arity: int, safe: AbstractSet[str]
) -> set[str]:
    found = _outputs_of_terms(expr, safe)
    if arity >= len(call.args):
        return found
    inputs = variables((call.operator, *call.args[:arity]), OPERANDS)
    if inputs.keys() - found - safe:
        return set()
    return found | variables(call.args[arity:], OPERANDS).keys()


def _outputs_of_terms(node: Node, safe: AbstractSet[str]) -> set[str]:
    """Return the variables that references look for, in references into known values."""
    found: set[str] = set()
    pending = [node]
    while pending:
        current = pending.pop()
        if isinstance(current, (*COMPREHENSIONS, ast.TemplateString)):
            continue
        if isinstance(current, ast.Ref):
            if not is_reference_safe(current, safe):
                continue
            if not is_ground(current):
                found |= variables(current, _PATHS).keys()
        pending.extend(children(current))
    return found
