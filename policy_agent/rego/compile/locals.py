"""Give every local variable its own name: `:=`, `some`, `every`, arguments and comprehensions.

Pure. Follows OPA v1.22 v1/ast/compile.go (rewriteLocalVars). After this pass `:=` is `=`, `some` is
gone (`some x in xs` is `x = xs[_]`), and no two variables of different scopes share a name.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from policy_agent.errors import Location, PolicyProblem
from policy_agent.rego import ast
from policy_agent.rego.compile.declared import declared_variables
from policy_agent.rego.compile.names import Names
from policy_agent.rego.compile.nodes import (
    call_name,
    equality,
    is_generated,
    is_root,
    is_wildcard,
    operator_name,
    rebuild,
    rebuild_expr,
    true_body,
)
from policy_agent.rego.compile.outputs import outputs_of_equality
from policy_agent.rego.compile.problems import COMPILE_ERROR, Problems
from policy_agent.rego.compile.scopes import Occurrence, Scopes
from policy_agent.rego.compile.variables import TARGETS, skipping, variables

_ASSIGN_OPERANDS = 2
_IN_NEGATION = "cannot assign vars inside negated expression"
_IN_OPERAND = {
    ast.LogicalNot: _IN_NEGATION,
    ast.LogicalAnd: "cannot assign vars inside implicit and operand",
    ast.LogicalOr: "cannot assign vars inside implicit or operand",
}


class LocalNames:
    """Renames the local variables of one body after the other."""

    def __init__(self, names: Names, scopes: Scopes, problems: Problems) -> None:
        self._names = names
        self.scopes = scopes
        self._problems = problems

    def body(self, body: ast.Body, used: Iterable[str] = ()) -> ast.Body:
        """Return a body with its variables renamed.

        Args:
            body: belongs to the innermost scope.
            used: variables that the place around the body uses, such as a comprehension's term.
        """
        before = self._problems.ending
        exprs = [done for expr in body if (done := self._expr(expr)) is not None]
        renamed = tuple(exprs) or true_body(body[0].location)
        if self._problems.ending == before:
            self._check_used(body, renamed, used)
        return renamed

    def _check_used(self, body: ast.Body, renamed: ast.Body, used: Iterable[str]) -> None:
        declared = self.scopes.declared()
        if not declared:
            return
        found = set(variables(renamed))
        found.update(name for each in used for name in (each, self.scopes.lookup(each)) if name)
        for new, name in sorted(declared.items()):
            if new in found or is_generated(name):
                continue
            at = next((each for each in body if name in declared_variables((each,))), body[0])
            message = f"declared var {name} unused"
            self._problems.note([PolicyProblem(COMPILE_ERROR, message, at.location)])

    def _expr(self, expr: ast.Expr) -> ast.Expr | None:
        match expr.statement:
            case ast.Call() if call_name(expr) == "assign":
                return self._assignment(expr)
            case ast.SomeDecl() as some:
                return self._some(expr, some)
            case ast.Every() as every:
                return self._every(expr, every)
            case ast.LogicalNot() as negation:
                body = self._operand(negation, negation.body, explicit=negation.explicit)
                return self._withs(replace(expr, statement=replace(negation, body=body)))
            case ast.LogicalAnd() | ast.LogicalOr() as logical:
                left = self._operand(logical, logical.left, explicit=logical.explicit_left)
                right = self._operand(logical, logical.right, explicit=logical.explicit_right)
                return self._withs(
                    replace(expr, statement=replace(logical, left=left, right=right))
                )
        return self.plain(expr)

    def plain(self, expr: ast.Expr) -> ast.Expr:
        """Return an expression that declares nothing with its variables renamed."""
        statement = expr.statement
        if isinstance(statement, ast.Call):
            head = statement.operator.head
            assert isinstance(head, ast.Var)
            head = replace(head, name=self.scopes.see(head.name))
            statement = replace(statement, operator=replace(statement.operator, head=head))
        done = rebuild_expr(replace(expr, statement=statement, withs=()), self.term, self.nested)
        return self._withs(replace(done, withs=expr.withs))

    def nested(self, body: ast.Body) -> ast.Body:
        """Return the body of a scope of its own, renamed."""
        with self.scopes.nested():
            return self.body(body)

    def term(self, term: ast.Term) -> ast.Term:
        """Return a term with its variables renamed."""
        match term:
            case ast.Var():
                return ast.Var(self.scopes.see(term.name), term.location)
            case ast.Ref() if is_root(term):
                assert isinstance(term.head, ast.Var)
                local = self.scopes.shadow(term.head.name)
                return term if local is None else ast.Var(local, term.location)
            case ast.Ref(head=ast.Var() as head):
                renamed = ast.Var(self.scopes.see(head.name), head.location)
                return ast.Ref(renamed, tuple(map(self.term, term.path)), term.location)
            case ast.Call():
                self._check_operator(term)
            case ast.ArrayComprehension() | ast.SetComprehension():
                with self.scopes.nested():
                    body = self.body(term.body, variables(term.term))
                    return replace(term, term=self.term(term.term), body=body)
            case ast.ObjectComprehension():
                with self.scopes.nested():
                    body = self.body(term.body, variables((term.key, term.value)))
                    key, value = self.term(term.key), self.term(term.value)
                    return replace(term, key=key, value=value, body=body)
            case ast.TemplateString():
                parts = tuple(
                    self.plain(part) if isinstance(part, ast.Expr) else part for part in term.parts
                )
                return replace(term, parts=parts)
        return rebuild(term, self.term, self.nested)

    def _check_operator(self, call: ast.Call) -> None:
        head = call.operator.head
        assert isinstance(head, ast.Var)
        if self.scopes.see(head.name) != head.name:
            name = operator_name(call.operator)
            self._problems.add(COMPILE_ERROR, f"called function {name} shadowed", call.location)

    def _withs(self, expr: ast.Expr) -> ast.Expr:
        if not expr.withs:
            return expr
        withs = tuple(
            replace(each, target=self._target(each.target), value=self.term(each.value))
            for each in expr.withs
        )
        return replace(expr, withs=withs)

    def _target(self, target: ast.Ref) -> ast.Ref:
        """Return a target; a local variable named `input` does not hide the document here."""
        path = tuple(map(self.term, target.path))
        return replace(target, path=path)

    def _assignment(self, expr: ast.Expr) -> ast.Expr:
        assert isinstance(expr.statement, ast.Call)
        call = expr.statement
        if expr.negated:
            self._problems.add(COMPILE_ERROR, _IN_NEGATION, expr.location)
            return expr
        if len(call.args) != _ASSIGN_OPERANDS:
            return expr
        right = self.term(call.args[1])
        withs = tuple(replace(each, value=self.term(each.value)) for each in expr.withs)
        left = self._assigned(call.args[0])
        done = equality(left, right, call.location)
        return replace(expr, statement=done.statement, withs=withs, assignment=True)

    def _assigned(self, term: ast.Term) -> ast.Term:
        match term:
            case ast.Var():
                return self._declare(term.name, Occurrence.ASSIGNED, term)
            case ast.ArrayTerm():
                return replace(term, items=tuple(map(self._assigned, term.items)))
            case ast.ObjectTerm():
                pairs = tuple((key, self._assigned(value)) for key, value in term.pairs)
                return replace(term, pairs=pairs)
            case ast.Ref(head=ast.Var() as head) if is_root(term):
                return self._declare(head.name, Occurrence.ASSIGNED, term)
        kind = value_name(term)
        self._problems.add(COMPILE_ERROR, f"cannot assign to {kind}", term.location)
        return term

    def _declare(
        self, name: str, occurrence: Occurrence, term: ast.Term, at: Location | None = None
    ) -> ast.Term:
        renamed, problem = self.scopes.declare(name, occurrence)
        if problem:
            self._problems.add(COMPILE_ERROR, problem, at or term.location)
            return term
        return ast.Var(renamed, term.location)

    def _some(self, expr: ast.Expr, some: ast.SomeDecl) -> ast.Expr | None:
        for symbol in some.symbols:
            if isinstance(symbol, ast.Call):
                return self._some_in(expr, some, symbol)
            assert isinstance(symbol, ast.Var)
            self._declare(symbol.name, Occurrence.DECLARED, symbol, some.location)
        return None

    def _some_in(self, expr: ast.Expr, some: ast.SomeDecl, call: ast.Call) -> ast.Expr | None:
        *given, value, container = call.args
        key = given[0] if given else self._names.variable(value.location)
        bound = variables((key, value), TARGETS)
        domain = variables(container, skipping(closures=True))
        clashes = [name for name in sorted(bound) if name in domain and not is_wildcard(name)]
        for name in clashes:
            self._problems.add(COMPILE_ERROR, f"var {name} assigned before", some.location)
        if clashes:
            return None
        if isinstance(container, ast.Ref):
            member = replace(container, path=(*container.path, key))
        else:
            member = ast.Ref(container, (key,), container.location)
        unified = equality(value, member, expr.location, withs=expr.withs)
        for name in sorted(outputs_of_equality(unified, set(variables(container)))):
            self._declare(name, Occurrence.DECLARED, value, some.location)
        return self.plain(unified)

    def _every(self, expr: ast.Expr, every: ast.Every) -> ast.Expr:
        domain = self.term(every.domain)
        with self.scopes.nested():
            key = self._names.variable(every.location)
            if every.key is not None:
                key = self._iterated(every.key, every.location)
            value = self._iterated(every.value, every.location)
            body = self.body(every.body)
        done = replace(every, key=key, value=value, domain=domain, body=body)
        return self._withs(replace(expr, statement=done))

    def _iterated(self, variable: ast.Var, location: Location) -> ast.Var:
        if is_wildcard(variable.name):
            return variable
        renamed = self._declare(variable.name, Occurrence.DECLARED, variable, location)
        assert isinstance(renamed, ast.Var)
        return renamed

    def _operand(
        self,
        statement: ast.LogicalNot | ast.LogicalAnd | ast.LogicalOr,
        body: ast.Body,
        *,
        explicit: bool,
    ) -> ast.Body:
        if explicit:
            return self.nested(body)
        done = []
        for expr in body:
            if call_name(expr) == "assign":
                self._problems.add(COMPILE_ERROR, _IN_OPERAND[type(statement)], expr.location)
            else:
                renamed = self._expr(expr)
                assert renamed is not None
                done.append(renamed)
        return tuple(done)


def value_name(term: ast.Term) -> str:
    """Return OPA's name for the kind of a term."""
    if isinstance(term, ast.Scalar):
        value = term.value
        if value is None:
            return "null"
        return {bool: "boolean", str: "string"}.get(type(value), "number")
    kind = type(term).__name__.lower()
    return kind.removesuffix("term")
