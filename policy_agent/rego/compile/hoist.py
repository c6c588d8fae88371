"""Move what must be evaluated out of heads, comprehensions and arguments.

Pure. Follows OPA v1.22 v1/ast/compile.go (rewriteRuleHeadRefs, rewriteComprehensionTerms,
rewriteRefsInHead, rewriteDynamicTerms). Afterwards heads and the terms of comprehensions hold only
variables and constants, and references stand alone on a side of an equality.
"""

from __future__ import annotations

from msgspec.structs import replace

from policy_agent.rego import ast
from policy_agent.rego.compile.names import Names
from policy_agent.rego.compile.nodes import (
    COMPREHENSIONS,
    append_to_body,
    is_equality,
    rebuild,
    rebuild_bodies,
    rebuild_expr,
    requires_evaluation,
)

_EQUALITY_OPERANDS = 2


def hoist_head_reference(rule: ast.Rule, names: Names) -> ast.Rule:
    """Return a rule whose reference has only constants and variables."""
    body = rule.body
    path: list[ast.Term] = []
    for part in rule.head.reference.path:
        if isinstance(part, ast.Scalar | ast.Var):
            path.append(part)
        else:
            variable, bound = names.bind(part)
            path.append(variable)
            body = append_to_body(body, [bound])
    reference = replace(rule.head.reference, path=tuple(path))
    return replace(rule, head=replace(rule.head, reference=reference), body=body)


def hoist_head_terms(rule: ast.Rule, names: Names) -> ast.Rule:
    """Return a rule, with its `else` rules, whose head needs no evaluation."""
    added: list[ast.Expr] = []

    def out(term: ast.Term) -> ast.Term:
        if not requires_evaluation(term):
            return term
        variable, bound = names.bind(term)
        added.append(bound)
        return variable

    head = rule.head
    key = None if head.key is None else out(head.key)
    value = None if head.value is None else out(head.value)
    args = None if head.args is None else tuple(map(out, head.args))
    head = replace(head, key=key, value=value, args=args)
    orelse = rule.orelse and hoist_head_terms(rule.orelse, names)
    return replace(rule, head=head, body=append_to_body(rule.body, added), orelse=orelse)


class ComprehensionTerms:
    """Binds the terms of comprehensions inside their bodies."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def rule(self, rule: ast.Rule) -> ast.Rule:
        """Return a rule whose comprehensions' terms need no evaluation."""
        return rebuild_bodies(rule, self._term, self.body)

    def body(self, body: ast.Body) -> ast.Body:
        """Return a body whose comprehensions' terms need no evaluation."""
        return tuple(rebuild_expr(expr, self._term, self.body) for expr in body)

    def _term(self, term: ast.Term) -> ast.Term:
        if not isinstance(term, COMPREHENSIONS):
            return rebuild(term, self._term, self.body)
        added: list[ast.Expr] = []

        def out(each: ast.Term) -> ast.Term:
            if not requires_evaluation(each):
                return each
            variable, bound = self._names.bind(each)
            added.append(bound)
            return variable

        if isinstance(term, ast.ObjectComprehension):
            term = replace(term, key=out(term.key), value=out(term.value))
        else:
            term = replace(term, term=out(term.term))
        return replace(term, body=self.body(append_to_body(term.body, added)))


class DynamicTerms:
    """Evaluates references and comprehensions inside other terms beforehand."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def rule(self, rule: ast.Rule) -> ast.Rule:
        """Return a rule, with its `else` rules, so rewritten."""
        orelse = rule.orelse and self.rule(rule.orelse)
        return replace(rule, body=self.body(rule.body), orelse=orelse)

    def body(self, body: ast.Body) -> ast.Body:
        """Return a body so rewritten."""
        done: list[ast.Expr] = []
        for expr in body:
            done.append(self._expr(expr, done))
        return tuple(done)

    def _expr(self, expr: ast.Expr, done: list[ast.Expr]) -> ast.Expr:
        def inside(term: ast.Term) -> ast.Term:
            return self._in_term(expr, term, done)

        def out(term: ast.Term) -> ast.Term:
            return self._out(expr, term, done)

        statement: ast.Statement
        match expr.statement:
            case ast.Call() as call:
                plain = is_equality(expr)
                if plain and len(call.args) != _EQUALITY_OPERANDS:
                    return expr
                statement = replace(call, args=tuple(map(inside if plain else out, call.args)))
            case ast.Every() as every:
                domain = out(every.domain)
                statement = replace(every, domain=domain, body=self.body(every.body))
            case ast.LogicalNot() | ast.LogicalAnd() | ast.LogicalOr():
                return rebuild_expr(expr, lambda term: term, self.body)
            case ast.SomeDecl() as some:
                statement = some
            case term:
                statement = inside(term)
        return replace(expr, statement=statement)

    def _in_term(self, expr: ast.Expr, term: ast.Term, done: list[ast.Expr]) -> ast.Term:
        if isinstance(term, ast.Ref):
            return replace(term, path=tuple(self._out(expr, x, done) for x in term.path))
        if isinstance(term, COMPREHENSIONS):
            return replace(term, body=self.body(term.body))
        return self._out(expr, term, done)

    def _out(self, expr: ast.Expr, term: ast.Term, done: list[ast.Expr]) -> ast.Term:
        if isinstance(term, (ast.Ref, *COMPREHENSIONS)):
            ready = self._in_term(expr, term, done)
            variable, bound = self._names.bind(ready, expr.withs)
            done.append(bound)
            return variable
        return rebuild(term, lambda each: self._out(expr, each, done), self.body)
