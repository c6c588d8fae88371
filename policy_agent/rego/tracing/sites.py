"""The places in compiled rules that tell when evaluation comes by.

Pure.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TypeAlias

from msgspec import Struct

from policy_agent.rego import ast

Node: TypeAlias = ast.Rule | ast.Body | ast.Expr
Path: TypeAlias = tuple[str, ...]


class Moment(Enum):
    """What it means to come by."""

    ENTER = auto()
    EVAL = auto()
    EXIT = auto()


class Site(Struct, frozen=True):
    """One place.

    Attributes:
        body: number of the body it is in.
        parent: number of the body around it, None for a rule's or a query's own.
        index: of the expression in its body.
        node: the rule, the nested body or query, or the expression.
        path: of the rule's document; () in a query.
        names: the variables whose values are told.
    """

    moment: Moment
    body: int
    parent: int | None
    index: int
    node: Node
    path: Path
    names: tuple[str, ...] = ()
