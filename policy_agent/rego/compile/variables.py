"""Which variables occur in a node, leaving out the places that a question does not concern.

Pure. Follows OPA v1.22 v1/ast/visit.go (VarVisitor).
"""

from __future__ import annotations

from typing import Final, TypeAlias

from policy_agent.errors import Location
from policy_agent.rego import ast
from policy_agent.rego.compile.nodes import CHILDREN, COMPREHENSIONS, ROOTS, Below, Node

Found: TypeAlias = dict[str, Location]

_CLOSED: Final = (
    *COMPREHENSIONS,
    ast.TemplateString,
    ast.LogicalNot,
    ast.LogicalAnd,
    ast.LogicalOr,
)


def _below_with(node: ast.With) -> tuple[Node, ...]:
    value = node.value
    return (*node.target.path, *(value.path if isinstance(value, ast.Ref) else (value,)))


def skipping(
    *,
    ref_head: bool = False,
    call_head: bool = False,
    object_keys: bool = False,
    closures: bool = False,
    sets: bool = False,
) -> Below:
    """Return where to look for variables.

    Args:
        ref_head: leave out the head of references.
        call_head: leave out the head of called functions, and of references in `with`.
        object_keys: leave out the keys of objects.
        closures: leave out comprehensions and nested bodies.
        sets: leave out the members of sets.
    """
    below = dict(CHILDREN)
    if ref_head:
        below[ast.Ref] = lambda node: node.path
    if call_head:
        below[ast.Call] = lambda node: (*node.operator.path, *node.args)
        below[ast.With] = _below_with
    if object_keys:
        below[ast.ObjectTerm] = lambda node: [value for _, value in node.pairs]
    if closures:
        for kind in _CLOSED:
            del below[kind]
        below[ast.Every] = lambda node: (node.domain,)
    if sets:
        del below[ast.SetTerm]
    return below


_ASSIGN: Final = ast.Var("assign")
_OF_BODIES: Final = skipping(call_head=True)
FOR_SAFETY: Final = skipping(call_head=True, closures=True)
TARGETS: Final = skipping(ref_head=True, object_keys=True, closures=True)
OPERANDS: Final = skipping(ref_head=True, object_keys=True, closures=True, sets=True)


def has_local_variables(node: Node) -> bool:
    """Return whether any variable but `input` and `data` occurs, or anything is declared."""
    pending = [node]
    take, children_of = pending.pop, _OF_BODIES.get
    while pending:
        current = take()
        kind = type(current)
        if kind is ast.Var:
            if current.name not in ROOTS:
                return True
        elif (children := children_of(kind)) is not None:
            if kind is ast.SomeDecl or (kind is ast.Call and current.operator.head == _ASSIGN):
                return True
            pending += children(current)
    return False


def variables(node: Node, below: Below = CHILDREN) -> Found:
    """Return the variables below a node and where each occurs first."""
    found: Found = {}
    pending = [node]
    take, children_of = pending.pop, below.get
    while pending:
        current = take()
        kind = type(current)
        if kind is ast.Var:
            found.setdefault(current.name, current.location)
            continue
        children = children_of(kind)
        if children is not None:
            pending += (*children(current),)[::-1]
    return found
