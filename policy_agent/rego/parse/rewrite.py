"""Walk and rewrite what has been read.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from msgspec.structs import replace

from policy_agent.errors import Location
from policy_agent.rego import ast
from policy_agent.rego.node import Node
from policy_agent.rego.parse.names import kind_of

_Node = TypeVar("_Node", ast.Expr, ast.Head)


def relocated(node: _Node, location: Location) -> _Node:
    """Return a node with one location everywhere in it."""
    moved: _Node = _relocated(node, location)
    return moved


def _relocated(value: Any, location: Location) -> Any:
    if isinstance(value, tuple):
        return tuple(_relocated(item, location) for item in value)
    if isinstance(value, Location):
        return location
    if isinstance(value, Node):
        names = value.__struct_fields__
        return replace(value, **{n: _relocated(getattr(value, n), location) for n in names})
    return value


def not_constant(term: ast.Term) -> Iterator[str]:
    """Yield the types of the parts of a term that are neither constant nor a comprehension."""
    match term:
        case ast.Var() | ast.Ref() | ast.Call():
            yield kind_of(term)
        case ast.ArrayTerm() | ast.SetTerm():
            for item in term.items:
                yield from not_constant(item)
        case ast.ObjectTerm():
            for key, value in term.pairs:
                yield from not_constant(key)
                yield from not_constant(value)
        case ast.TemplateString():
            for part in term.parts:
                statement = part.statement if isinstance(part, ast.Expr) else part
                if not isinstance(statement, ast.SomeDecl | ast.Every | ast.LogicalNot):
                    yield from _not_constant_statement(statement)
        case _:
            return


def _not_constant_statement(statement: ast.Statement) -> Iterator[str]:
    if isinstance(statement, ast.Call):
        for part in (statement.operator, *statement.args):
            yield from not_constant(part)
    elif not isinstance(
        statement,
        ast.SomeDecl | ast.Every | ast.LogicalNot | ast.LogicalAnd | ast.LogicalOr,
    ):
        yield from not_constant(statement)
