"""Which variables occur in a node, leaving out the places that a question does not concern.

Pure. Follows OPA v1.22 v1/ast/visit.go (VarVisitor).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from policy_agent.errors import Location
from policy_agent.rego import ast
from policy_agent.rego.compile.nodes import COMPREHENSIONS, Node, children

Found: TypeAlias = dict[str, Location]


@dataclass(frozen=True, slots=True)
class Skip:
    """What is not looked at.

    Attributes:
        ref_head: the head of references.
        call_head: the head of called functions, and of references in `with`.
        object_keys: keys of objects.
        closures: comprehensions and nested bodies.
        sets: members of sets.
        custom: handles a node in its own way; returns whether it did.
    """

    ref_head: bool = False
    call_head: bool = False
    object_keys: bool = False
    closures: bool = False
    sets: bool = False
    custom: Callable[[Node, Found], bool] | None = None


NOTHING: Final = Skip()
FOR_SAFETY: Final = Skip(call_head=True, closures=True)
TARGETS: Final = Skip(ref_head=True, object_keys=True, closures=True)
_CLOSED: Final = (
    *COMPREHENSIONS,
    ast.TemplateString,
    ast.LogicalNot,
    ast.LogicalAnd,
    ast.LogicalOr,
)


def variables(node: Node, skip: Skip = NOTHING) -> Found:
    """Return the variables below a node and where each occurs first."""
    found: Found = {}
    _collect(node, skip, found)
    return found


def _collect(node: Node, skip: Skip, found: Found) -> None:
    pending = [node]
    while pending:
        current = pending.pop()
        if type(current) is ast.Scalar:
            continue
        if isinstance(current, ast.Var):
            found.setdefault(current.name, current.location)
            continue
        if skip.custom is not None and skip.custom(current, found):
            continue
        # Expressions are most of what is met, and none of them is left out.
        whole = skip is NOTHING or type(current) is ast.Expr
        below = None if whole else _below(current, skip)
        pending += (*(children(current) if below is None else below),)[::-1]


def _below(node: Node, skip: Skip) -> list[Node] | None:
    """Return what to look at below a node when it is not everything."""
    match node:
        case ast.ObjectTerm() if skip.object_keys:
            return [value for _, value in node.pairs]
        case ast.Ref() if skip.ref_head:
            return list(node.path)
        case ast.Every() if skip.closures:
            return [node.domain]
        case ast.SetTerm() if skip.sets:
            return []
        case ast.Call() if skip.call_head:
            return [*node.operator.path, *node.args]
        case ast.With() if skip.call_head:
            value = node.value
            below: list[Node] = list(node.target.path)
            return below + (list(value.path) if isinstance(value, ast.Ref) else [value])
    if skip.closures and isinstance(node, _CLOSED):
        return []
    return None
