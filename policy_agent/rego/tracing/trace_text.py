"""Print trace events as OPA does.

Pure. Follows OPA v1.22 v1/topdown/trace.go (PrettyTraceWithOpts).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from policy_agent.rego import ast
from policy_agent.rego.builtins.value_text import value_text
from policy_agent.rego.check.term_text import expression_text, term_text
from policy_agent.rego.compile.nodes import DATA, Node, rebuild, rebuild_expr
from policy_agent.rego.compile.variables import variables
from policy_agent.rego.tracing.history import Event, Op

_PADDING: Final = 4
_VALUE_WIDTH: Final = 32


def trace_text(
    events: Sequence[Event],
    rewritten: Mapping[str, str],
    *,
    values: bool = False,
    margin: str = "",
) -> str:
    """Return a table with a row for each event: place, what happened and, if wanted, values.

    Args:
        events: in order.
        rewritten: the compiler's names of variables -> the author's.
        values: show the values of variables.
        margin: what stands before each cell and at the end of the line.
    """
    depths = {0: 0}
    rows = []
    for event in events:
        depth = depths.setdefault(event.query, depths.get(event.parent, 0) + 1)
        row = [_place(event), _happening(event, depth, rewritten)]
        if values:
            row.append(_values(event, rewritten))
        rows.append(row)
    if not rows:
        return ""
    widths = [max(len(row[column].encode()) for row in rows) + _PADDING
              for column in range(len(rows[0]) - 1)]  # fmt: skip
    lines = []
    for row in rows:
        cells = [f"{cell:{width}} " for cell, width in zip(row, widths, strict=False)]
        lines.append("".join(f"{margin}{cell}" for cell in (*cells, row[-1], "")))
    return "".join(f"{line}\n" for line in lines)


def _place(event: Event) -> str:
    return f"{event.location.file or 'query'}:{event.location.row}"


def _happening(event: Event, depth: int, rewritten: Mapping[str, str]) -> str:
    is_outside = event.op is Op.ENTER or (
        event.op is Op.REDO and not isinstance(event.node, ast.Expr)
    )
    bars = "| " * (depth - 1 if is_outside else depth)
    if event.op is Op.NOTE:
        return f'{bars}{event.op} "{event.message}"'
    return f"{bars}{event.op} {_node_text(event, rewritten)}"


def _node_text(event: Event, rewritten: Mapping[str, str]) -> str:
    node = event.node
    if isinstance(node, ast.Rule):
        return term_text(ast.Ref(ast.Var(DATA), tuple(map(ast.Scalar, event.path))))
    body = node if isinstance(node, tuple) else (node,)
    return "; ".join(expression_text(_renamed(expr, rewritten)) for expr in body)


def _values(event: Event, rewritten: Mapping[str, str]) -> str:
    if event.op is Op.NOTE:
        return "{}"
    node: Node = event.node.head if isinstance(event.node, ast.Rule) else event.node
    shown = sorted(
        (_written(name, rewritten), value_text(event.values[name]))
        for name in variables(node)
        if name in event.values
    )
    return f"{{{', '.join(f'{name}: {_truncated(text)}' for name, text in shown)}}}"


def _truncated(text: str) -> str:
    return text if len(text) <= _VALUE_WIDTH else text[: _VALUE_WIDTH - 3] + "..."


def _written(name: str, rewritten: Mapping[str, str]) -> str:
    written = rewritten.get(name, name)
    return "_" if written.startswith("$") else written


def _renamed(expr: ast.Expr, rewritten: Mapping[str, str]) -> ast.Expr:
    def term(each: ast.Term) -> ast.Term:
        if isinstance(each, ast.Var):
            return ast.Var(rewritten.get(each.name, each.name), each.location)
        done = rebuild(each, term, body)
        if isinstance(done, ast.Ref) and isinstance(done.head, ast.Var):
            return replace(done, head=term(done.head))
        return done

    def body(each: ast.Body) -> ast.Body:
        return tuple(rebuild_expr(inner, term, body) for inner in each)

    renamed = rebuild_expr(expr, term, body)
    if isinstance(renamed.statement, ast.Every):
        every = renamed.statement
        key = every.key and ast.Var(rewritten.get(every.key.name, every.key.name))
        if key is not None and key.name.startswith("__local"):
            key = None
        value = ast.Var(rewritten.get(every.value.name, every.value.name))
        return replace(renamed, statement=replace(every, key=key, value=value))
    return renamed
