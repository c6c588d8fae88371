"""Move calls that stand inside terms out, before the expression that contains them.

Pure. Follows OPA v1.22 v1/ast/compile.go (rewriteExprTerms): `f(g(x))` becomes
`g(x, y); f(y)`, and `[1, 2][i]` becomes `y = [1, 2]; y[i]`.
"""

from __future__ import annotations

from msgspec.structs import replace

from policy_agent.rego import ast
from policy_agent.rego.compile.names import Names
from policy_agent.rego.compile.nodes import COMPREHENSIONS, append_to_body, equality

_SUBJECTS = (ast.ArrayTerm, ast.ObjectTerm, ast.SetTerm, *COMPREHENSIONS)


class Expansion:
    """Expands one body after the other."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def rule(self, rule: ast.Rule) -> ast.Rule:
        """Return a rule, with its `else` rules, whose terms contain no calls."""
        support: list[ast.Expr] = []
        head = rule.head
        args = None if head.args is None else tuple(self._term(x, support) for x in head.args)
        key = None if head.key is None else self._term(head.key, support)
        value = None if head.value is None else self._term(head.value, support)
        body = self.body(append_to_body(rule.body, support))
        orelse = rule.orelse and self.rule(rule.orelse)
        return replace(
            rule, head=replace(head, args=args, key=key, value=value), body=body, orelse=orelse
        )

    def body(self, body: ast.Body) -> ast.Body:
        """Return a body whose terms contain no calls."""
        done: list[ast.Expr] = []
        for expr in body:
            self._expr(expr, done)
        return tuple(done)

    def _expr(self, expr: ast.Expr, done: list[ast.Expr]) -> None:
        withs = tuple(replace(each, value=self._term(each.value, done)) for each in expr.withs)
        support: list[ast.Expr] = []
        statement: ast.Statement
        match expr.statement:
            case ast.Call() as call:
                args = tuple(self._term(x, support) for x in call.args)
                statement = ast.Call(call.operator, args, call.location)
            case ast.Every() as every:
                at = every.domain.location
                variable = self._names.variable(at)
                bound = equality(variable, every.domain, at, generated=True, withs=withs)
                self._expr(bound, done)
                statement = replace(every, domain=variable, body=self.body(every.body))
            case ast.LogicalNot() as negation:
                statement = replace(negation, body=self.body(negation.body))
            case ast.LogicalAnd() | ast.LogicalOr() as logical:
                left, right = self.body(logical.left), self.body(logical.right)
                statement = replace(logical, left=left, right=right)
            case ast.SomeDecl() as some:
                statement = some
            case term:
                statement = self._term(term, support)
        done.extend(replace(each, withs=withs) if withs else each for each in support)
        done.append(replace(expr, statement=statement, withs=withs))

    def _term(self, term: ast.Term, support: list[ast.Expr]) -> ast.Term:
        match term:
            case ast.Call():
                args = tuple(self._term(x, support) for x in term.args)
                output = self._names.variable(term.location)
                call = replace(term, args=(*args, output))
                support.append(ast.Expr(call, generated=True, location=term.location))
                return output
            case ast.Ref():
                return self._reference(term, support)
            case ast.ArrayTerm() | ast.SetTerm():
                return replace(term, items=tuple(self._term(x, support) for x in term.items))
            case ast.ObjectTerm():
                pairs = tuple(
                    (self._term(key, support), self._term(value, support))
                    for key, value in term.pairs
                )
                return replace(term, pairs=pairs)
            case ast.ArrayComprehension() | ast.SetComprehension():
                inner: list[ast.Expr] = []
                item = self._term(term.term, inner)
                return replace(term, term=item, body=self.body(append_to_body(term.body, inner)))
            case ast.ObjectComprehension():
                inner = []
                key, value = self._term(term.key, inner), self._term(term.value, inner)
                body = self.body(append_to_body(term.body, inner))
                return replace(term, key=key, value=value, body=body)
        return term

    def _reference(self, term: ast.Ref, support: list[ast.Expr]) -> ast.Ref:
        head = self._term(term.head, support)
        path = tuple(self._term(part, support) for part in term.path)
        if isinstance(head, _SUBJECTS):
            head, bound = self._names.bind(head)
            support.append(bound)
        return ast.Ref(head, path, term.location)
