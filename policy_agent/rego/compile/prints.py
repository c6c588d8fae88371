"""Erase `print` calls, or make them harmless to run.

Pure. Follows OPA v1.22 v1/ast/compile.go (rewritePrintCalls): each operand becomes a set of its
values, so that an undefined one does not end the rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from msgspec import Struct
from msgspec.structs import replace

from policy_agent.rego import ast
from policy_agent.rego.compile.names import Names
from policy_agent.rego.compile.nodes import (
    ROOTS,
    call_name,
    equality,
    is_generated,
    operator,
    rebuild,
    rebuild_bodies,
    rebuild_expr,
    true_body,
)
from policy_agent.rego.compile.outputs import Arity, outputs_of_body
from policy_agent.rego.compile.problems import COMPILE_ERROR, Problems
from policy_agent.rego.compile.variables import FOR_SAFETY, variables


def erase_prints(rule: ast.Rule) -> ast.Rule:
    """Return a rule without `print` calls."""
    return rebuild_bodies(rule, _erase_in_term, erase_prints_in_body)


def erase_prints_in_body(body: ast.Body) -> ast.Body:
    """Return a body without `print` calls; one of nothing else becomes `true`."""
    kept = tuple(
        rebuild_expr(expr, _erase_in_term, erase_prints_in_body)
        for expr in body
        if not _is_print(expr)
    )
    return kept or true_body(body[0].location)


def _erase_in_term(term: ast.Term) -> ast.Term:
    return rebuild(term, _erase_in_term, erase_prints_in_body)


def _is_print(expr: ast.Expr) -> bool:
    return call_name(expr) == "print"


class Prints(Struct, frozen=True):
    """The pass that keeps `print` calls.

    Attributes:
        rewritten: local name -> name as written.
    """

    names: Names
    arity: Arity
    rewritten: Mapping[str, str]
    problems: Problems

    def rule(self, rule: ast.Rule) -> ast.Rule:
        """Return a rule whose `print` calls take sets of values."""
        safe = ROOTS | variables(rule.head.args or ()).keys()
        return rebuild_bodies(
            rule, lambda term: self._term(term, safe), lambda body: self.body(body, safe)
        )

    def body(self, body: ast.Body, outer: AbstractSet[str] = ROOTS) -> ast.Body:
        """Return a body whose `print` calls take sets of values."""
        done: list[ast.Expr] = []
        for index, expr in enumerate(body):
            known = outputs_of_body(body[:index], self.arity, outer) | outer
            known |= {name for name in variables(body[:index]) if is_generated(name)}
            done.append(self._print(expr, known) if _is_print(expr) else self._expr(expr, known))
        return tuple(done)

    def _expr(self, expr: ast.Expr, safe: AbstractSet[str]) -> ast.Expr:
        inner = safe
        if isinstance(expr.statement, ast.Every):
            inner = safe | variables((expr.statement.key, expr.statement.value)).keys()
        return rebuild_expr(
            expr, lambda term: self._term(term, safe), lambda body: self.body(body, inner)
        )

    def _term(self, term: ast.Term, safe: AbstractSet[str]) -> ast.Term:
        return rebuild(
            term, lambda each: self._term(each, safe), lambda body: self.body(body, safe)
        )

    def _print(self, expr: ast.Expr, safe: AbstractSet[str]) -> ast.Expr:
        assert isinstance(expr.statement, ast.Call)
        sets: list[ast.Term] = []
        for argument in expr.statement.args:
            for name in sorted(variables(argument, FOR_SAFETY).keys() - safe):
                shown = self.rewritten.get(name, name)
                self.problems.add(COMPILE_ERROR, f"var {shown} is undeclared", argument.location)
            at = argument.location
            variable = self.names.variable(at)
            capture = equality(variable, self._term(argument, safe), at)
            sets.append(ast.SetComprehension(variable, (capture,), at))
        at = expr.location
        operands = (ast.ArrayTerm(tuple(sets), at),)
        call = ast.Call(operator("internal.print", at), operands, at)
        return replace(expr, statement=call)
