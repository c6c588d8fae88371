"""Give the local variables of rules, with their arguments and heads, their own names.

Pure. Follows OPA v1.22 v1/ast/compile.go (rewriteLocalVarsInRule).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from msgspec.structs import replace

from policy_agent.rego import ast
from policy_agent.rego.compile.declared import declared_variables
from policy_agent.rego.compile.locals import LocalNames
from policy_agent.rego.compile.names import Names
from policy_agent.rego.compile.nodes import (
    COMPREHENSIONS,
    alternatives,
    descend,
    is_root,
    rebuild,
    rebuild_expr,
)
from policy_agent.rego.compile.problems import COMPILE_ERROR, Problems
from policy_agent.rego.compile.scopes import Occurrence, Scopes
from policy_agent.rego.compile.variables import FOR_SAFETY, has_local_variables, skipping, variables


class RuleNames:
    """Renames the local variables of rules.

    Attributes:
        rewritten: new name -> name as written, of all rules so far.
    """

    def __init__(self, names: Names, builtins: Collection[str], problems: Problems) -> None:
        self.rewritten: dict[str, str] = {}
        self._names = names
        self._builtins = builtins
        self._problems = problems

    def rule(self, rule: ast.Rule) -> ast.Rule:
        """Return a rule, with its `else` rules, with its variables renamed."""
        if not has_local_variables(rule):
            return rule
        scopes = Scopes(self._names)
        args = rule.head.args
        if args is not None:
            args = tuple(self._argument(arg, scopes) for arg in args)
        done: ast.Rule | None = None
        for each in reversed([self._one(each, args, scopes) for each in alternatives(rule)]):
            done = replace(each, orelse=done)
        assert done is not None
        return done

    def _argument(self, term: ast.Term, scopes: Scopes) -> ast.Term:
        match term:
            case ast.Var():
                known = scopes.lookup(term.name)
                if known is None:
                    known, _ = scopes.declare(term.name, Occurrence.ARGUMENT)
                return replace(term, name=known)
            case ast.ObjectTerm():
                pairs = tuple((key, self._argument(value, scopes)) for key, value in term.pairs)
                return replace(term, pairs=pairs)
            case ast.ArrayTerm():
                return replace(term, items=tuple(self._argument(x, scopes) for x in term.items))
            case ast.Call():
                message = "rule arguments cannot contain calls"
                self._problems.add(COMPILE_ERROR, message, term.location)
        return term

    def _one(
        self, rule: ast.Rule, args: tuple[ast.Term, ...] | None, arguments: Scopes
    ) -> ast.Rule:
        head = self._map_head(rule.head, self._closure)
        used = variables(
            tuple(term for term in (*head.reference.path, head.key, head.value) if term is not None)
        )
        scopes = arguments.copy()
        self._hide_builtins(rule, scopes)
        body = LocalNames(self._names, scopes, self._problems).body(rule.body, used)
        self.rewritten.update(scopes.rewritten)
        renamed = scopes.innermost()
        head = self._map_head(head, lambda term: substitute(term, renamed))
        if args is not None:
            args = tuple(substitute(self._closure(arg), renamed) for arg in args)
        return replace(rule, head=replace(head, args=args), body=body)

    def _map_head(self, head: ast.Head, change: Callable[[ast.Term], ast.Term]) -> ast.Head:
        reference = replace(head.reference, path=tuple(map(change, head.reference.path)))
        key = None if head.key is None else change(head.key)
        value = None if head.value is None else change(head.value)
        return replace(head, reference=reference, key=key, value=value)

    def _closure(self, term: ast.Term) -> ast.Term:
        """Rename what the comprehensions and template strings of a head declare themselves."""
        if isinstance(term, (*COMPREHENSIONS, ast.TemplateString)):
            scopes = Scopes(self._names)
            done = LocalNames(self._names, scopes, self._problems).term(term)
            self.rewritten.update(scopes.rewritten)
            return done
        return rebuild(term, self._closure, lambda body: body)

    def _hide_builtins(self, rule: ast.Rule, scopes: Scopes) -> None:
        """Rename variables of a body that have a built-in function's name."""
        found = {name for name in variables(rule.body, FOR_SAFETY) if name in self._builtins}
        if not found:
            return
        withs = tuple(node for node in descend(rule) if isinstance(node, ast.With))
        excluded = (
            declared_variables(rule.body)
            | variables(
                tuple(term for each in withs for term in (each.target, each.value)),
                skipping(call_head=True),
            ).keys()
        )
        for name in sorted(found - excluded):
            if scopes.lookup(name) is None:
                scopes.insert(name, self._names.fresh(), Occurrence.SEEN)


def substitute(term: ast.Term, renamed: Mapping[str, str]) -> ast.Term:
    """Return a term with variables renamed, everywhere in it."""

    def on_body(body: ast.Body) -> ast.Body:
        return tuple(on_expr(expr) for expr in body)

    def on_expr(expr: ast.Expr) -> ast.Expr:
        done = rebuild_expr(expr, on_term, on_body)
        withs = tuple(
            replace(each, target=replace(each.target, path=tuple(map(on_term, each.target.path))))
            for each in done.withs
        )
        return replace(done, withs=withs)

    def on_term(each: ast.Term) -> ast.Term:
        if isinstance(each, ast.Var):
            return replace(each, name=renamed.get(each.name, each.name))
        if isinstance(each, ast.Ref) and isinstance(each.head, ast.Var):
            name = renamed.get(each.head.name, each.head.name)
            head = replace(each.head, name=name)
            if is_root(each) and name != each.head.name:
                return head
            return replace(each, head=head, path=tuple(map(on_term, each.path)))
        return rebuild(each, on_term, on_body)

    return on_term(term)
