"""Make compiled rules and queries tell where their evaluation is.

Pure. Calls of `EVENT` are put into bodies: when a body is entered, before each expression and at
the end. As rules do not call themselves, the order of the calls tells which rule called which.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from itertools import count

from msgspec import Struct
from msgspec.structs import replace

from policy_agent.errors import Location
from policy_agent.rego import ast
from policy_agent.rego.compile.compiled import Compiled, CompiledQuery
from policy_agent.rego.compile.nodes import DATA, ROOTS, operator, rebuild, rebuild_expr
from policy_agent.rego.compile.outputs import outputs_of_expr
from policy_agent.rego.compile.signatures import Signature
from policy_agent.rego.compile.tree import PlacedRule, RuleTree
from policy_agent.rego.compile.variables import variables
from policy_agent.rego.planner.trie import string_prefix
from policy_agent.rego.tracing.indexed import index_conditions, is_constant
from policy_agent.rego.tracing.sites import Moment, Node, Path, Site
from policy_agent.rego.values import freeze

EVENT = "internal.trace_event"
# What a rule's constant is wrapped in so that no alternative ends the others.
OPAQUE = "internal.trace_opaque"


class Detail(Struct, frozen=True):
    """How closely evaluation is watched.

    Attributes:
        values: tell the values of variables.
        indexing: leave out the rules that OPA's index leaves out.
        early_exit: end a rule with its first solution where OPA does.
    """

    values: bool = False
    indexing: bool = True
    early_exit: bool = True


class Instrument:
    """Puts calls into bodies and remembers what each means.

    Attributes:
        sites: by the number that a call tells.
    """

    def __init__(self, detail: Detail) -> None:
        self.sites: list[Site] = []
        self._detail = detail
        self._bodies = count()
        self._path: Path = ()

    def modules(self, compiled: Compiled) -> Compiled:
        """Return compiled modules whose rules tell where they are."""
        builtins = {name: compiled.builtins[name] for name in compiled.builtins}
        builtins |= {EVENT: Signature(2), OPAQUE: Signature(1)}
        self._arity = compiled.arity
        self._is_virtual = lambda ref: _is_virtual(compiled.tree, ref)
        modules = tuple(self._module(module) for module in compiled.modules)
        return replace(compiled, modules=modules, builtins=builtins)

    def query(self, query: CompiledQuery) -> CompiledQuery:
        """Return a compiled query that tells where it is."""
        self._path = ()
        return replace(query, body=self._body(query.body, ROOTS, query.body, None))

    def _module(self, module: ast.Module) -> ast.Module:
        rules = []
        for rule in module.rules:
            self._path = string_prefix(PlacedRule(module, rule))
            rules.append(self._rule(rule))
        return replace(module, rules=tuple(rules))

    def _rule(self, rule: ast.Rule) -> ast.Rule:
        known = ROOTS | variables(rule.head.args or ()).keys()
        conditions = index_conditions(rule, self._is_virtual) if self._detail.indexing else ()
        body = (*conditions, *self._body(rule.body, known, rule, None))
        orelse = rule.orelse and self._rule(rule.orelse)
        done = replace(rule, body=body, orelse=orelse)
        return done if self._detail.early_exit else _without_constant(done)

    def _body(
        self, body: ast.Body, known: AbstractSet[str], node: Node, parent: int | None
    ) -> ast.Body:
        """Return a body that tells when it is entered, how far it is, and when it holds."""
        number = next(self._bodies)
        place = Site(Moment.ENTER, number, parent, 0, node, self._path)
        shown = _shown(node)
        told = [self._event(place, frozenset(), body[0].location)]
        fresh: AbstractSet[str] = frozenset()
        for index, expr in enumerate(body):
            here = replace(place, moment=Moment.EVAL, index=index, node=expr)
            told.append(self._event(here, fresh | (known & _shown(expr)), expr.location))
            told.append(self._expr(expr, known, number))
            fresh = outputs_of_expr(expr, self._arity, known)
            known |= fresh
        end = replace(place, moment=Moment.EXIT, index=len(body))
        told.append(self._event(end, fresh | (known & shown), body[-1].location))
        return tuple(told)

    def _event(self, site: Site, names: AbstractSet[str], at: Location) -> ast.Expr:
        told = tuple(sorted(names)) if self._detail.values else ()
        number = ast.Scalar(len(self.sites), at)
        self.sites.append(replace(site, names=told))
        values = ast.ArrayTerm(tuple(ast.Var(name, at) for name in told), at)
        call = ast.Call(operator(EVENT, at), (number, values), at)
        return ast.Expr(call, generated=True, location=at)

    def _expr(self, expr: ast.Expr, known: AbstractSet[str], parent: int) -> ast.Expr:
        if expr.negated:
            positive = replace(expr, negated=False, withs=())
            negation = ast.LogicalNot((positive,), location=expr.location)
            expr = replace(expr, statement=negation, negated=False)
        inner = known
        if isinstance(expr.statement, ast.Every):
            inner = known | variables((expr.statement.key, expr.statement.value)).keys()

        def nested(body: ast.Body) -> ast.Body:
            return self._body(body, inner, body, parent)

        def term(each: ast.Term) -> ast.Term:
            return rebuild(each, term, nested)

        return rebuild_expr(expr, term, nested)


def _shown(node: Node) -> AbstractSet[str]:
    """Return the variables of an expression or of a head; of a query all there are."""
    return variables(node.head if isinstance(node, ast.Rule) else node).keys() - ROOTS


def _without_constant(rule: ast.Rule) -> ast.Rule:
    """Return a rule whose first solution tells nothing of the others'."""
    if rule.default or rule.head.value is None or not is_constant(rule.head.value):
        return rule
    at = rule.head.location
    value = ast.Var("$opaque", at)
    call = ast.Call(operator(OPAQUE, at), (rule.head.value, value), at)
    body = (*rule.body, ast.Expr(call, generated=True, location=at))
    return replace(rule, head=replace(rule.head, value=value), body=body)


def _is_virtual(tree: RuleTree, ref: ast.Ref) -> bool:
    """Return whether a reference needs rules: there are some on its way or below it."""
    if not isinstance(ref.head, ast.Var) or ref.head.name != DATA:
        return False
    node: RuleTree | None = tree
    for part in ref.path:
        if node is None or not isinstance(part, ast.Scalar):
            break
        if node.rules:
            return True
        node = node.children.get(freeze(part.value))
    return node is not None
