"""Check the targets of `with` and move values that need evaluation before the expression.

Pure. Follows OPA v1.22 v1/ast/compile.go (rewriteWithModifiers, validateWith).
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from policy_agent.rego import ast
from policy_agent.rego.compile.names import Names
from policy_agent.rego.compile.nodes import (
    DATA,
    INPUT,
    operator_name,
    rebuild,
    rebuild_bodies,
    rebuild_expr,
    requires_evaluation,
)
from policy_agent.rego.compile.problems import COMPILE_ERROR, TYPE_ERROR, Problems
from policy_agent.rego.compile.signatures import Signature
from policy_agent.rego.compile.tree import RuleTree
from policy_agent.rego.values import freeze

_FIXED = frozenset({"eq", "rego.metadata.chain", "rego.metadata.rule"})


class Withs(Struct, frozen=True):
    """The pass and what it needs to know."""

    names: Names
    tree: RuleTree
    builtins: Mapping[str, Signature]
    problems: Problems

    def rule(self, rule: ast.Rule) -> ast.Rule:
        """Return a rule whose `with` values are variables, constants or functions."""
        return rebuild_bodies(rule, self._term, self.body)

    def body(self, body: ast.Body) -> ast.Body:
        """Return a body whose `with` values are variables, constants or functions."""
        done: list[ast.Expr] = []
        for expr in body:
            withs = tuple(self._with(each, done) for each in expr.withs)
            inner = rebuild_expr(replace(expr, withs=()), self._term, self.body)
            done.append(replace(inner, withs=withs))
        return tuple(done)

    def _term(self, term: ast.Term) -> ast.Term:
        return rebuild(term, self._term, self.body)

    def _with(self, each: ast.With, done: list[ast.Expr]) -> ast.With:
        value = self._term(each.value)
        if isinstance(value, ast.Var) and value.name in self.builtins:
            value = ast.Ref(value, (), value.location)
        if self._is_evaluated(each.target, value):
            variable, bound = self.names.bind(value)
            done.append(bound)
            value = variable
        return replace(each, value=value)

    def _is_evaluated(self, target: ast.Ref, value: ast.Term) -> bool:
        """Return whether a value is bound beforehand; functions are not values."""
        assert isinstance(target.head, ast.Var)
        name = operator_name(target)
        if target.head.name == DATA:
            if self._is_function_target(target) and self._is_function(value):
                return False
            if isinstance(value, ast.Ref):
                node = self.tree.find_reference(value)
                if node is not None and any(placed.arity for placed in node.rules):
                    return False
        elif target.head.name != INPUT:
            if name not in self.builtins:
                message = "with keyword target must reference existing input, data, or a function"
                self.problems.add(TYPE_ERROR, message, target.location)
                return False
            self._check_builtin(name, target)
            if self._is_function(value):
                return False
        return requires_evaluation(value)

    def _is_function_target(self, target: ast.Ref) -> bool:
        node: RuleTree | None = self.tree
        for part in target.path[:-1]:
            node = node.children.get(_key(part)) if node is not None else None
            if node is not None and node.rules:
                message = "with keyword cannot partially replace virtual document(s)"
                self.problems.add(COMPILE_ERROR, message, target.location)
                return False
        if node is None or not target.path:
            return False
        last = node.children.get(_key(target.path[-1]))
        return last is not None and any(placed.arity for placed in last.rules)

    def _is_function(self, value: ast.Term) -> bool:
        if not isinstance(value, ast.Ref) or not isinstance(value.head, ast.Var):
            return False
        return self.tree.find_reference(value) is not None or operator_name(value) in self.builtins

    def _check_builtin(self, name: str, target: ast.Ref) -> None:
        prefix = "with keyword replacing built-in function: "
        signature = self.builtins[name]
        if name in _FIXED:
            problem = f'replacement of "{name}" invalid'
        elif name.startswith("internal."):
            problem = f'replacement of internal function "{name}" invalid'
        elif signature.relation:
            problem = "target must not be a relation"
        elif signature.void:
            problem = "target must not be a void function"
        else:
            return
        self.problems.add(COMPILE_ERROR, prefix + problem, target.location)


def _key(part: ast.Term) -> object:
    return freeze(part.value) if isinstance(part, ast.Scalar) else None
