"""Let a rule begin with the conditions by which OPA's rule index leaves rules out.

Pure. Follows OPA v1.22 v1/ast/index.go: a rule whose conditions on the input or on base documents
cannot hold is never evaluated, so that nothing else in it can fail or conflict. Evaluated first,
they do the same here; they also are the cheapest ones, and no longer inside loops.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from policy_agent.rego import ast
from policy_agent.rego.compile.names import Names
from policy_agent.rego.compile.nodes import (
    DATA,
    INPUT,
    ROOTS,
    call_name,
    descend,
    is_equality,
    rebuild,
    rebuild_expr,
)
from policy_agent.rego.compile.tree import RuleTree
from policy_agent.rego.compile.variables import variables
from policy_agent.rego.values import freeze

# What the index knows besides equality, by the number of operands: with one more, the result is
# captured, and a false one does not end the rule.
_INDEXED: Final = {
    "startswith": 2,
    "endswith": 2,
    "strings.any_prefix_match": 2,
    "strings.any_suffix_match": 2,
    "glob.match": 3,
}
_MEMBER: Final = "internal.member_2"
_MEMBER_OPERANDS: Final = 2
# A rule that calls these is always evaluated, so that it can be traced.
_NOT_INDEXED: Final = frozenset({"internal.print", "internal.test_case"})


class IndexFirst:
    """Puts indexed conditions first in the bodies of rules, as they are asked for.

    Args:
        tree: of all rules.
    """

    def __init__(self, tree: RuleTree) -> None:
        self._tree = tree
        self._names = Names((), "__index")
        # By id, which cannot be another's while the rule is held here.
        self._done: dict[int, tuple[ast.Rule, ast.Rule]] = {}

    def rule(self, rule: ast.Rule) -> ast.Rule:
        """Return a rule whose body begins with the indexed conditions."""
        known = self._done.get(id(rule))
        if known is None:
            known = self._done[id(rule)] = (rule, _rule(rule, self._names, self._tree))
        return known[1]


def _rule(rule: ast.Rule, names: Names, tree: RuleTree) -> ast.Rule:
    orelse = rule.orelse and _rule(rule.orelse, names, tree)
    body = rule.body
    if not any(call_name(each) in _NOT_INDEXED for each in _expressions(body)):
        head = rule.head
        # Where a key is looked up, the variables of the head have values before the body.
        given = (*head.reference.path, *(() if head.key is None else (head.key,)))
        body = _Body(names, tree, head.args or (), given).ordered(body)
    return replace(rule, body=body, orelse=orelse)


def _expressions(body: ast.Body) -> Iterator[ast.Expr]:
    return (node for node in descend(body) if isinstance(node, ast.Expr))


class _Condition(Struct, frozen=True):
    """What the index looks at.

    Attributes:
        subject: the reference or argument that is looked at, None where a variable gets a constant.
        has_value: whether more is asked than that the subject is defined.
    """

    expr: ast.Expr
    subject: object = None
    has_value: bool = False


class _Body:
    """One body: what its variables stand for, as far as it has been read.

    Attributes:
        bound: the variables that occur in it, or have a value before it.
        constants: those that are a constant.
        subjects: those that stand for a reference into input or base documents, or an argument.
        first: the conditions of the index.
        rest: what else is in the body.
    """

    def __init__(
        self,
        names: Names,
        tree: RuleTree,
        args: Iterable[ast.Term] = (),
        given: Iterable[ast.Term] = (),
    ) -> None:
        self._names = names
        self._tree = tree
        self.bound = set(variables((*args, *given)))
        self.constants: set[str] = set()
        self.subjects: dict[str, ast.Ref | ast.Var] = {
            arg.name: arg for arg in args if isinstance(arg, ast.Var)
        }
        self.first: list[_Condition] = []
        self.rest: list[ast.Expr] = []

    def ordered(self, body: ast.Body) -> ast.Body:
        """Return the body with indexed conditions first."""
        self._read(body)
        return (*(each.expr for each in self.first), *self.rest)

    def _read(self, body: ast.Body) -> None:
        for expr in body:
            if expr.withs or expr.negated:
                self.rest.append(expr)
            elif isinstance(expr.statement, ast.LogicalAnd | ast.LogicalOr):
                self.first += self._of_operands(expr, expr.statement)
                self.rest.append(expr)
            elif is_equality(expr):
                self._equality(expr)
            elif (condition := self._condition(expr)) is not None:
                self.first.append(condition)
            else:
                self.rest.append(expr)
            self.bound |= variables(expr).keys()

    def _equality(self, expr: ast.Expr) -> None:
        assert isinstance(expr.statement, ast.Call)
        left, right = expr.statement.args
        for one, other in ((left, right), (right, left)):
            if isinstance(one, ast.Var):
                condition = self._of_variable(expr, one, other)
                if condition is not None:
                    self.first.append(condition)
                    return
            elif isinstance(one, ast.Ref) and (subject := self._base(one)) and _is_flat(other):
                if isinstance(other, ast.Var) and other.name not in self.bound:
                    self.subjects[other.name] = subject
                    self.first.append(_Condition(expr, subject))
                elif self._is_constant(other):
                    self.first.append(_Condition(expr, subject, True))
                else:
                    # Only that the reference is defined can be known before the other side is.
                    variable, defined = self._names.bind(one)
                    self.first.append(_Condition(defined, subject))
                    args = (variable, other) if one is left else (other, variable)
                    self.rest.append(replace(expr, statement=replace(expr.statement, args=args)))
                return
        self.rest.append(expr)

    def _of_variable(self, expr: ast.Expr, one: ast.Var, other: ast.Term) -> _Condition | None:
        subject = self.subjects.get(one.name)
        if isinstance(other, ast.Var):
            if isinstance(subject, ast.Ref) and other.name not in self.bound:
                self.subjects[other.name] = subject
                return _Condition(expr, subject)
            return None
        if one.name not in self.bound and isinstance(other, ast.Scalar):
            self.constants.add(one.name)
            return _Condition(expr)
        if subject is not None and _is_flat(other) and self._is_constant(other):
            return _Condition(expr, subject, True)
        return None

    def _condition(self, expr: ast.Expr) -> _Condition | None:
        statement = expr.statement
        if isinstance(statement, ast.Ref):
            subject = self._base(statement)
            return None if subject is None else _Condition(expr, subject)
        if not isinstance(statement, ast.Call):
            return None
        name, args = call_name(expr), statement.args
        if name == _MEMBER and len(args) == _MEMBER_OPERANDS:
            return self._membership(expr, *args)
        found = [self.subjects[name] for name in variables(args) if name in self.subjects]
        known = self.subjects.keys() | self.constants
        if not found or _INDEXED.get(name) != len(args) or variables(args).keys() - known:
            return None
        return _Condition(expr, found[0], True)

    def _membership(
        self, expr: ast.Expr, item: ast.Term, collection: ast.Term
    ) -> _Condition | None:
        if isinstance(item, ast.Var) and item.name in self.subjects:
            if isinstance(collection, ast.Var) or not self._is_constant(collection):
                return None
            return _Condition(expr, self.subjects[item.name], True)
        if not isinstance(collection, ast.Var) or not self._is_constant(item):
            return None
        subject = self.subjects.get(collection.name)
        if not isinstance(subject, ast.Ref) or not _is_flat(item):
            return None
        return _Condition(expr, subject, True)

    def _of_operands(
        self, expr: ast.Expr, logical: ast.LogicalAnd | ast.LogicalOr
    ) -> list[_Condition]:
        """Return what the index looks at in the operands, which stay where they are."""
        left, right = map(self._of_operand, (logical.left, logical.right))
        if isinstance(logical, ast.LogicalAnd):
            return [*left, *right]
        # That a reference is defined is asked of all alternatives, or of those with a value.
        asked = {each.subject for each in (*self.first, *left, *right) if each.has_value}
        asked |= {each.subject for each in left} & {each.subject for each in right} - {None}
        if not all(any(each.subject in asked for each in side) for side in (left, right)):
            return []

        def body(side: list[_Condition]) -> ast.Body:
            return tuple(each.expr for each in side if each.subject in (None, *asked))

        either = ast.LogicalOr(body(left), body(right), True, True, logical.location)
        return [_Condition(replace(expr, statement=either, generated=True))]

    def _of_operand(self, body: ast.Body) -> list[_Condition]:
        inner = _Body(self._names, self._tree)
        inner.bound = set(self.bound)
        inner.constants = set(self.constants)
        inner.subjects = dict(self.subjects)
        inner._read(body)
        own = variables(tuple(each.expr for each in inner.first)).keys() - self.bound - ROOTS
        renamed = {name: self._names.fresh() for name in sorted(own)}
        return [replace(each, expr=_renamed(each.expr, renamed)) for each in inner.first]

    def _base(self, reference: ast.Ref) -> ast.Ref | None:
        """Return the constant reference into input or base documents that one stands for."""
        if not isinstance(reference.head, ast.Var):
            return None
        start = self.subjects.get(reference.head.name)
        if isinstance(start, ast.Ref):
            reference = replace(start, path=(*start.path, *reference.path))
        assert isinstance(reference.head, ast.Var)
        for part in reference.path:
            is_known = isinstance(part, ast.Var) and part.name in self.constants
            if not is_known and not isinstance(part, ast.Scalar):
                return None
        if reference.head.name == INPUT:
            return reference
        is_base = reference.head.name == DATA and not self._is_virtual(reference.path)
        return reference if is_base else None

    def _is_virtual(self, path: tuple[ast.Term, ...]) -> bool:
        node = self._tree
        for part in path:
            if not isinstance(part, ast.Scalar):
                return True
            child = node.children.get(freeze(part.value))
            if child is None:
                return False
            if child.rules:
                return True
            node = child
        return True

    def _is_constant(self, term: ast.Term) -> bool:
        return variables(term).keys() <= self.constants


def _is_flat(term: ast.Term) -> bool:
    """Return whether the index can look for a term: a scalar, a variable or an array of such."""
    if isinstance(term, ast.ArrayTerm):
        return all(isinstance(item, ast.Scalar | ast.Var) for item in term.items)
    return isinstance(term, ast.Scalar | ast.Var)


def _renamed(expr: ast.Expr, names: Mapping[str, str]) -> ast.Expr:
    def on_term(term: ast.Term) -> ast.Term:
        if isinstance(term, ast.Var):
            return replace(term, name=names.get(term.name, term.name))
        if isinstance(term, ast.Ref) and isinstance(term.head, ast.Var):
            term = replace(term, head=on_term(term.head))
        return rebuild(term, on_term, on_body)

    def on_body(body: ast.Body) -> ast.Body:
        return tuple(_renamed(each, names) for each in body)

    return rebuild_expr(expr, on_term, on_body)
