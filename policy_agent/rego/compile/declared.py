"""Which variables a body declares, with `:=` or `some`.

Pure. Follows OPA v1.22 v1/ast/compile.go (declaredVars).
"""

from __future__ import annotations

from policy_agent.rego import ast
from policy_agent.rego.compile.nodes import OUTSIDE_COMPREHENSIONS, call_name, descend
from policy_agent.rego.compile.variables import variables

_ASSIGN_OPERANDS = 2


def declared_variables(body: ast.Body) -> set[str]:
    """Return the names that a body declares, outside of its comprehensions."""
    return {
        name
        for node in descend(body, OUTSIDE_COMPREHENSIONS)
        if type(node) is ast.Expr
        for name in _declared_in(node)
    }


def _declared_in(expr: ast.Expr) -> set[str]:
    statement = expr.statement
    if isinstance(statement, ast.Call) and call_name(expr) == "assign":
        if len(statement.args) == _ASSIGN_OPERANDS:
            return set(variables(statement.args[0]))
    elif isinstance(statement, ast.SomeDecl):
        return {name for symbol in statement.symbols for name in _declared_by(symbol)}
    return set()


def _declared_by(symbol: ast.Term) -> set[str]:
    if isinstance(symbol, ast.Call):
        names = symbol.args[: len(symbol.args) - 1]
        return {name for term in names for name in variables(term)}
    return set(variables(symbol))
