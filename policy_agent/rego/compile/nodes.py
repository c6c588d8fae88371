"""Walk and rebuild syntax trees: what every pass of the compiler is made of.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from operator import is_
from typing import Any, Final, TypeAlias, TypeVar

from msgspec.structs import replace

from policy_agent.errors import Location
from policy_agent.rego import ast

Node: TypeAlias = Any
T = TypeVar("T")
OnTerm: TypeAlias = Callable[[ast.Term], ast.Term]
OnBody: TypeAlias = Callable[[ast.Body], ast.Body]
# Kind of node -> what gives the nodes directly below one; kinds that are not there have none.
Below: TypeAlias = Mapping[type, Callable[[Any], Iterable[Node]]]

INPUT: Final = "input"
DATA: Final = "data"
ROOTS: Final = frozenset({INPUT, DATA})
COMPREHENSIONS: Final = (ast.ArrayComprehension, ast.SetComprehension, ast.ObjectComprehension)
CLOSURES: Final = (
    *COMPREHENSIONS,
    ast.Every,
    ast.LogicalNot,
    ast.LogicalAnd,
    ast.LogicalOr,
)


def is_generated(name: str) -> bool:
    """Return whether the compiler made a variable."""
    return name.startswith("__local")


def is_wildcard(name: str) -> bool:
    """Return whether a variable was written `_`."""
    return name.startswith("$")


def is_root(term: ast.Term) -> bool:
    """Return whether a term is `input` or `data` alone."""
    return (
        isinstance(term, ast.Ref)
        and not term.path
        and isinstance(term.head, ast.Var)
        and term.head.name in ROOTS
    )


def operator_name(operator: ast.Ref) -> str:
    """Return the dotted name of a built-in or of a function below `data`."""
    assert isinstance(operator.head, ast.Var)
    if not operator.path:
        return operator.head.name
    parts = [operator.head.name]
    parts += [part.value for part in operator.path if isinstance(part, ast.Scalar)]
    return ".".join(map(str, parts))


def call_name(expr: ast.Expr) -> str:
    """Return what an expression calls, "" when it is no call."""
    statement = expr.statement
    return operator_name(statement.operator) if isinstance(statement, ast.Call) else ""


def is_equality(expr: ast.Expr) -> bool:
    """Return whether an expression unifies two terms."""
    return call_name(expr) == "eq"


def operator(name: str, location: Location) -> ast.Ref:
    """Return the operator of a built-in function."""
    first, *rest = name.split(".")
    path = tuple(ast.Scalar(part, location) for part in rest)
    return ast.Ref(ast.Var(first, location), path, location)


def equality(left: ast.Term, right: ast.Term, location: Location, **fields: Any) -> ast.Expr:
    """Return `left = right`."""
    call = ast.Call(operator("eq", location), (left, right), location)
    return ast.Expr(call, location=location, **fields)


def true_body(location: Location) -> ast.Body:
    """Return the body that always holds."""
    return (ast.Expr(ast.Scalar(True, location), location=location),)


def is_true_body(body: ast.Body) -> bool:
    """Return whether a body is only `true`."""
    return (
        len(body) == 1
        and isinstance(body[0].statement, ast.Scalar)
        and (body[0].statement.value is True)
    )


def append_to_body(body: ast.Body, exprs: Iterable[ast.Expr]) -> ast.Body:
    """Return a body with more expressions; a body of only `true` is replaced."""
    more = tuple(exprs)
    if more and is_true_body(body):
        return more
    return body + more


CHILDREN: Final[Below] = {
    ast.Ref: lambda node: (node.head, *node.path),
    ast.ArrayTerm: lambda node: node.items,
    ast.SetTerm: lambda node: node.items,
    ast.ObjectTerm: lambda node: (part for pair in node.pairs for part in pair),
    ast.ArrayComprehension: lambda node: (node.term, *node.body),
    ast.SetComprehension: lambda node: (node.term, *node.body),
    ast.ObjectComprehension: lambda node: (node.key, node.value, *node.body),
    ast.Call: lambda node: (node.operator, *node.args),
    ast.TemplateString: lambda node: node.parts,
    ast.Expr: lambda node: (node.statement, *node.withs),
    ast.With: lambda node: (node.target, node.value),
    ast.SomeDecl: lambda node: node.symbols,
    ast.Every: lambda node: (*_present(node.key, node.value, node.domain), *node.body),
    ast.LogicalNot: lambda node: node.body,
    ast.LogicalAnd: lambda node: (*node.left, *node.right),
    ast.LogicalOr: lambda node: (*node.left, *node.right),
    ast.Head: lambda node: (
        *node.reference.path,
        *(node.args or ()),
        *_present(node.key, node.value),
    ),
    ast.Rule: lambda node: (node.head, *node.body, *_present(node.orelse)),
    tuple: lambda node: node,
}


def _outside(kinds: Collection[type]) -> Below:
    return {kind: below for kind, below in CHILDREN.items() if kind not in kinds}


OUTSIDE_CLOSURES: Final = _outside(CLOSURES)
OUTSIDE_COMPREHENSIONS: Final = _outside(COMPREHENSIONS)


def _present(*nodes: Node) -> tuple[Node, ...]:
    return tuple(node for node in nodes if node is not None)


def children(node: Node) -> Iterable[Node]:
    """Return the nodes directly below one; a call's operator is its first child."""
    below = CHILDREN.get(type(node))
    return () if below is None else below(node)


def descend(node: Node, below: Below = CHILDREN) -> list[Node]:
    """Return a node and everything below it, outermost first."""
    found: list[Node] = []
    pending = [node]
    take, note, children_of = pending.pop, found.append, below.get
    while pending:
        current = take()
        note(current)
        children = children_of(type(current))
        if children is not None:
            pending += (*children(current),)[::-1]
    return found


def contains(node: Node, *kinds: type) -> bool:
    """Return whether a node or anything below it is of some kind."""
    return any(isinstance(each, kinds) for each in descend(node))


def requires_evaluation(term: ast.Term) -> bool:
    """Return whether a term's value is more than its variables and constants."""
    return contains(term, ast.Ref, *COMPREHENSIONS)


def is_ground(term: ast.Term) -> bool:
    """Return whether a term has no variable, other than the head of a reference."""
    if isinstance(term, ast.Ref):
        return all(map(is_ground, term.path))
    if isinstance(term, ast.Var):
        return False
    return all(map(is_ground, children(term)))


def each_changed(nodes: tuple[T, ...], change: Callable[[T], T]) -> tuple[T, ...]:
    """Return nodes changed, the very same tuple where none is."""
    changed = tuple([change(node) for node in nodes])
    return nodes if all(map(is_, nodes, changed)) else changed


def rebuild(term: ast.Term, on_term: OnTerm, on_body: OnBody) -> ast.Term:
    """Return a term with the terms and bodies directly below it replaced.

    The variable at the head of a reference and a call's operator stay as they are. Where nothing
    below changes, the term itself is returned.
    """
    if (kind := type(term)) is ast.Scalar or kind is ast.Var:
        return term
    match term:
        case ast.Ref():
            head = term.head if isinstance(term.head, ast.Var) else on_term(term.head)
            path = each_changed(term.path, on_term)
            same = head is term.head and path is term.path
            return term if same else ast.Ref(head, path, term.location)
        case ast.ArrayTerm() | ast.SetTerm():
            items = each_changed(term.items, on_term)
            return term if items is term.items else replace(term, items=items)
        case ast.ObjectTerm():
            pairs = each_changed(term.pairs, lambda pair: each_changed(pair, on_term))  # type: ignore[arg-type,return-value]
            return term if pairs is term.pairs else replace(term, pairs=pairs)
        case ast.Call():
            args = each_changed(term.args, on_term)
            return term if args is term.args else ast.Call(term.operator, args, term.location)
        case ast.TemplateString():
            parts = tuple(
                rebuild_expr(part, on_term, on_body) if isinstance(part, ast.Expr) else part
                for part in term.parts
            )
            return replace(term, parts=parts)
        case ast.ArrayComprehension() | ast.SetComprehension() | ast.ObjectComprehension():
            return _rebuild_comprehension(term, on_term, on_body)
    return term


def _rebuild_comprehension(
    term: ast.ArrayComprehension | ast.SetComprehension | ast.ObjectComprehension,
    on_term: OnTerm,
    on_body: OnBody,
) -> ast.Term:
    body = on_body(term.body)
    if isinstance(term, ast.ObjectComprehension):
        return replace(term, key=on_term(term.key), value=on_term(term.value), body=body)
    return replace(term, term=on_term(term.term), body=body)


def rebuild_expr(expr: ast.Expr, on_term: OnTerm, on_body: OnBody) -> ast.Expr:
    """Return an expression with its terms, nested bodies and `with` values replaced."""
    statement: ast.Statement
    match expr.statement:
        case ast.Call() as call:
            args = each_changed(call.args, on_term)
            same = args is call.args
            statement = call if same else ast.Call(call.operator, args, call.location)
        case ast.SomeDecl() as some:
            statement = replace(some, symbols=tuple(map(on_term, some.symbols)))
        case ast.Every() as every:
            domain = on_term(every.domain)
            statement = replace(every, domain=domain, body=on_body(every.body))
        case ast.LogicalNot() as negation:
            statement = replace(negation, body=on_body(negation.body))
        case ast.LogicalAnd() | ast.LogicalOr() as logical:
            left = on_body(logical.left)
            statement = replace(logical, left=left, right=on_body(logical.right))
        case term:
            statement = on_term(term)
    withs = expr.withs and tuple(replace(each, value=on_term(each.value)) for each in expr.withs)
    if statement is expr.statement and withs is expr.withs:
        return expr
    return replace(expr, statement=statement, withs=withs)


def rebuild_bodies(rule: ast.Rule, on_term: OnTerm, on_body: OnBody) -> ast.Rule:
    """Return a rule, its alternatives included, with head terms and bodies replaced."""
    head = rule.head
    head = replace(
        head,
        args=None if head.args is None else tuple(map(on_term, head.args)),
        key=None if head.key is None else on_term(head.key),
        value=None if head.value is None else on_term(head.value),
    )
    orelse = rule.orelse and rebuild_bodies(rule.orelse, on_term, on_body)
    return replace(rule, head=head, body=on_body(rule.body), orelse=orelse)


def alternatives(rule: ast.Rule) -> Iterator[ast.Rule]:
    """Iterate over a rule and its `else` rules."""
    current: ast.Rule | None = rule
    while current is not None:
        yield current
        current = current.orelse
