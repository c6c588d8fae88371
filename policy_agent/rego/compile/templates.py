"""Turn template strings into calls of `internal.template_string`.

Pure. Follows OPA v1.22 v1/ast/compile.go (rewriteTemplateStrings): each expression becomes a set of
at most one value, so that an undefined one does not make the whole text undefined.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet

from msgspec import Struct
from msgspec.structs import replace

from policy_agent.rego import ast
from policy_agent.rego.compile.names import Names
from policy_agent.rego.compile.nodes import (
    COMPREHENSIONS,
    ROOTS,
    alternatives,
    equality,
    operator,
    operator_name,
    rebuild,
    rebuild_expr,
)
from policy_agent.rego.compile.outputs import Arity, outputs_of_body
from policy_agent.rego.compile.problems import COMPILE_ERROR, Problems
from policy_agent.rego.compile.signatures import Signature
from policy_agent.rego.compile.variables import FOR_SAFETY, skipping, variables

Safe = AbstractSet[str]


class Templates(Struct, frozen=True):
    """The pass and what it needs to know.

    Attributes:
        always_defined: whether a reference names a rule that always has a value.
        rewritten: local name -> name as written.
    """

    names: Names
    arity: Arity
    builtins: Mapping[str, Signature]
    always_defined: Callable[[ast.Ref], bool]
    rewritten: Mapping[str, str]
    problems: Problems

    def rule(self, rule: ast.Rule) -> ast.Rule:
        """Return a rule without template strings."""
        done: ast.Rule | None = None
        for each in reversed(list(alternatives(rule))):
            done = replace(self._one(each), orelse=done)
        assert done is not None
        return done

    def query(self, body: ast.Body) -> ast.Body:
        """Return a query without template strings."""
        return self._body(body, ROOTS)[0]

    def _one(self, rule: ast.Rule) -> ast.Rule:
        head = rule.head
        given = variables(head.args or (), skipping(closures=True)).keys()
        body, safe = self._body(rule.body, ROOTS | given)
        args = None if head.args is None else tuple(self._term(x, safe) for x in head.args)
        key = None if head.key is None else self._term(head.key, safe)
        value = None if head.value is None else self._term(head.value, safe)
        return replace(rule, head=replace(head, args=args, key=key, value=value), body=body)

    def _body(self, body: ast.Body, safe: Safe) -> tuple[ast.Body, Safe]:
        known = outputs_of_body(body, self.arity, safe) | safe
        return tuple(self._expr(expr, known) for expr in body), known

    def _expr(self, expr: ast.Expr, safe: Safe) -> ast.Expr:
        inner = safe
        if isinstance(expr.statement, ast.Every):
            inner = safe | variables((expr.statement.key, expr.statement.value)).keys()
        return rebuild_expr(
            expr, lambda term: self._term(term, safe), lambda body: self._body(body, inner)[0]
        )

    def _term(self, term: ast.Term, safe: Safe) -> ast.Term:
        if isinstance(term, ast.TemplateString):
            return self._call(term, safe)
        known = safe
        if isinstance(term, COMPREHENSIONS):
            known = safe | outputs_of_body(term.body, self.arity, safe)
        return rebuild(
            term, lambda each: self._term(each, known), lambda body: self._body(body, safe)[0]
        )

    def _call(self, template: ast.TemplateString, safe: Safe) -> ast.Call:
        at = template.location
        parts = [
            self._part(part, safe) if isinstance(part, ast.Expr) else part
            for part in template.parts
        ] or [ast.Scalar("", at)]
        array = ast.ArrayTerm(tuple(parts), at)
        return ast.Call(operator("internal.template_string", at), (array,), at)

    def _part(self, expr: ast.Expr, safe: Safe) -> ast.Term:
        statement = expr.statement
        at = expr.location
        if isinstance(statement, ast.Call):
            name = operator_name(statement.operator)
            if name in self.builtins and self.builtins[name].relation:
                self.problems.add(
                    COMPILE_ERROR,
                    f"illegal call to relation built-in '{name}' that may cause multiple outputs",
                    at,
                )
                return ast.Scalar("", at)
        if isinstance(
            statement,
            ast.SomeDecl | ast.Every | ast.LogicalNot | ast.LogicalAnd | ast.LogicalOr,
        ):
            self.problems.add(COMPILE_ERROR, "unexpected template-string expression type", at)
            return ast.Scalar("", at)
        if isinstance(statement, ast.Var) or (
            isinstance(statement, ast.Ref) and self.always_defined(statement)
        ):
            return ast.SetTerm((statement,), at)
        for name in sorted(variables(statement, FOR_SAFETY).keys() - safe):
            shown = self.rewritten.get(name, name)
            self.problems.add(COMPILE_ERROR, f"var {shown} is undeclared", statement.location)
        captured = self._term(statement, safe)
        variable = self.names.variable(at)
        capture = equality(variable, captured, at, withs=expr.withs)
        return ast.SetComprehension(variable, (capture,), at)
